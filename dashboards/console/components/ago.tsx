import { signal } from "@preact/signals";
import { formatDuration, formatMoment } from "../format.ts";

/** Ticks once a second; only what shows an age looks at it. */
export const nowMs = signal(Date.now());
setInterval(() => {
  nowMs.value = Date.now();
}, 1_000);

/** How long ago something was; the exact moment on hovering. */
export function Ago({ at }: { readonly at: string | null | undefined }) {
  if (at === null || at === undefined) return <span class="muted">never</span>;
  const seconds = Math.max(0, (nowMs.value - Date.parse(at)) / 1000);
  return (
    <time dateTime={at} title={formatMoment(at)}>
      {seconds < 2 ? "now" : `${formatDuration(Math.floor(seconds))} ago`}
    </time>
  );
}
