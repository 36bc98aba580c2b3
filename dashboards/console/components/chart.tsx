import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { effect } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "../theme.ts";

export interface Series {
  readonly label: string;
  /** As many as there are times; null where nothing is known. */
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
}

/** As many lines as can be told apart. */
export const MOST_SERIES = 5;
const HEIGHT = 180;
const DASHES = [[], [6, 3], [2, 3], [10, 4, 2, 4], [1, 4]];

/** Lines over time. What they come to now stands beside their names, so that nobody needs to see the lines. */
export function Chart({ title, times, series, format }: ChartProps) {
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot | null>(null);
  const labels = series.map(({ label }) => label).join("\n");
  const latest = useRef({ times, series, format });
  latest.current = { times, series, format };

  // of one look there is no line
  const isDrawn = times.length > 1;
  // drawn anew where the lines are others, or the colours
  useEffect(() => {
    const element = place.current;
    if (element === null || !isDrawn) return;
    const draw = (): void => {
      drawn.current?.destroy();
      drawn.current = new uPlot(optionsFor(element, latest.current), dataOf(latest.current), element);
    };
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(() => drawn.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    dark.addEventListener("change", draw);
    const ignoreTheme = effect(() => {
      void theme.value;
      // once the document has the new colours
      requestAnimationFrame(draw);
    });
    return () => {
      ignoreTheme();
      dark.removeEventListener("change", draw);
      resized.disconnect();
      drawn.current?.destroy();
      drawn.current = null;
    };
  }, [labels, isDrawn]);

  useEffect(() => {
    drawn.current?.setData(dataOf({ times, series }));
  }, [times, series]);

  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption id={id}>{title}</figcaption>
      <div ref={place} aria-hidden="true" class="chart-place">
        {!isDrawn && <p class="small muted">The line begins with the second look.</p>}
      </div>
      <ul class="chart-legend small">
        {series.map(({ label, values }, index) => {
          const last = values.findLast((value) => value !== null);
          return (
            <li key={label}>
              <svg class={`series-${index}`} width="22" height="8" aria-hidden="true">
                <line x1="0" y1="4" x2="22" y2="4" stroke="currentColor" stroke-width="2" stroke-dasharray={DASHES[index]?.join(" ")} />
              </svg>
              {label}: <span class="num">{last === undefined || last === null ? "unknown" : format(last)}</span>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}

const dataOf = ({ times, series }: Pick<ChartProps, "times" | "series">): uPlot.AlignedData =>
  [[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;

function optionsFor(element: HTMLElement, { series, format }: Pick<ChartProps, "series" | "format">): uPlot.Options {
  const colour = (name: string): string => {
    // a custom property of light-dark() is only a colour where it is used as one
    element.style.color = `var(--${name})`;
    const { color } = getComputedStyle(element);
    element.style.color = "";
    return color;
  };
  const axis = {
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      // the hub is looked at every few seconds: nothing finer than a second
      {
        ...axis,
        size: 28,
        space: 70,
        incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
        values: (_, splits) => splits.map((at) => new Date(at * 1000).toLocaleTimeString("en-GB")),
      },
      { ...axis, size: 64, values: (_, splits) => splits.map((value) => format(value)) },
    ],
    series: [
      {},
      ...series.map(({ label }, index) => ({
        label,
        stroke: colour(`series-${index}`),
        width: 2,
        dash: DASHES[index] ?? [],
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}
