import { generate } from "lean-qr";

/** Around a code, in its own measure: readers need it. */
const QUIET = 4;

/** A text as a QR code, made here: it goes nowhere. Dark on light in either theme, as readers want it. */
export function Qr({ text, label }: { readonly text: string; readonly label: string }) {
  const code = generate(text);
  const { size } = code;
  let path = "";
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (code.get(x, y)) path += `M${x + QUIET},${y + QUIET}h1v1h-1z`;
  const width = size + 2 * QUIET;
  return (
    <svg class="qr" viewBox={`0 0 ${width} ${width}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={width} height={width} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
