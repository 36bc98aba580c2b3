import { type DiffPart, diffWords } from "./diff-words.ts";

/** Two texts side by side, what differs marked; `null` is NULL or a row that is not there. */
export function Diff({ before, after }: { readonly before: string | null; readonly after: string | null }) {
  const parts = diffWords(before ?? "", after ?? "");
  return (
    <div class="diff">
      <DiffSide parts={parts} side="before" isNull={before === null} />
      <DiffSide parts={parts} side="after" isNull={after === null} />
    </div>
  );
}

/** One of the two texts: what the other does not have is marked. */
export function DiffSide(props: { readonly parts: readonly DiffPart[]; readonly side: "before" | "after"; readonly isNull?: boolean }) {
  const { parts, side, isNull = false } = props;
  if (isNull) return <span class="muted">null</span>;
  const Mark = side === "before" ? "del" : "ins";
  return (
    <span class="diff-text">
      {parts
        .filter(({ kind }) => kind === "same" || kind === side)
        .map(({ kind, text }, index) => (kind === "same" ? text : <Mark key={index}>{text}</Mark>))}
    </span>
  );
}
