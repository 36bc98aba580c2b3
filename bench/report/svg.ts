import { spread } from "../measure/stats.ts";
import type { Recorder } from "./recorder.ts";
import type { Titles } from "./table.ts";

const WIDTH = 760;
/** Where bars begin; to the left of them stand the workload, once for all of its bars, and the system. */
const LABEL = 250;
const VALUE = 80;
const BAR = 13;
const GAP = 3;
const GROUP = 8;
const HEAD = 34;
/** Those whose rows are alike enough to be compared by their number. */
const WORKLOADS = ["inserts", "updates", "deletes", "mixed", "wide", "two-way", "backlog", "singles"];
const COLOURS: { readonly [system: string]: string } = {
  tombolo: "#0f766e",
  "tombolo-slot": "#0e7490",
  "tombolo-one-way": "#5eaaa2",
  native: "#64748b",
  pglogical: "#8b7ea8",
  bucardo: "#b08968",
  "copy-loop": "#cbd5e1",
};

/** Bars of rows per second, with the spread over the rounds as a thin line; null when nothing of it was measured. */
export function drawRowsPerSecond(recorder: Recorder, titles: Titles): string | null {
  const series = recorder.series
    .filter(({ figure, workload }) => figure === "rows_per_second" && WORKLOADS.includes(workload))
    .sort((a, b) => WORKLOADS.indexOf(a.workload) - WORKLOADS.indexOf(b.workload));
  if (series.length === 0) return null;
  const largest = Math.max(...series.flatMap(({ values }) => [...values.values()]));
  const scale = (value: number) => (value / largest) * (WIDTH - LABEL - VALUE);
  const parts: string[] = [];
  let y = 8;
  for (const route of new Set(recorder.series.map((candidate) => candidate.route))) {
    if (!series.some((candidate) => candidate.route === route)) continue;
    parts.push(text({ x: 12, y: y + 20, content: titles.get(route) ?? route, style: 'font-weight="600"' }));
    y += HEAD;
    let group = "";
    for (const { workload, system, values } of series.filter((candidate) => candidate.route === route)) {
      if (workload !== group) {
        y += group === "" ? 0 : GROUP;
        group = workload;
        parts.push(text({ x: 24, y: y + BAR - 2, content: workload, style: "" }));
      }
      const { median, min, max } = spread([...values.values()]);
      const middle = y + BAR / 2;
      parts.push(
        text({ x: LABEL - 10, y: y + BAR - 2, content: system, style: 'text-anchor="end"' }),
        `<rect x="${LABEL}" y="${y}" width="${scale(median).toFixed(1)}" height="${BAR}" fill="${COLOURS[system] ?? "#94a3b8"}"/>`,
        `<line x1="${(LABEL + scale(min)).toFixed(1)}" x2="${(LABEL + scale(max)).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#0f172a"/>`,
        text({ x: LABEL + scale(max) + 8, y: y + BAR - 2, content: Math.round(median).toLocaleString("en"), style: "" }),
      );
      y += BAR + GAP;
    }
    y += GROUP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 8}" width="${WIDTH}" height="${y + 8}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Rows per second until both databases are equal">
<rect width="100%" height="100%" fill="#ffffff"/>
${parts.join("\n")}
</svg>
`;
}

function text({ x, y, content, style }: { x: number; y: number; content: string; style: string }): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="#0f172a" ${style}>${escaped}</text>`;
}
