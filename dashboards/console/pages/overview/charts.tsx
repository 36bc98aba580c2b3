import { samples } from "../../api/samples.ts";
import { Chart, MOST_SERIES } from "../../components/chart.tsx";
import { formatLag } from "../../format.ts";
import { lagSeries, packetSeries } from "./chart-series.ts";

export const formatRate = (value: number): string =>
  value === 0 ? "0/s" : `${value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : Math.round(value)}/s`;

/** Since the page was opened: the hub keeps no such history, Prometheus does. */
export function Charts({ link }: { readonly link?: string }) {
  const seen = samples.value;
  const times = seen.map(({ at }) => at);
  const lags = lagSeries(link === undefined ? seen : only(seen, link), MOST_SERIES);
  const isKnown = lags.some(({ values }) => values.some((value) => value !== null));
  const many = link === undefined && (seen.at(-1)?.links.size ?? 0) > MOST_SERIES;
  return (
    <section class="card" aria-labelledby="charts">
      <div class="card-head">
        <h2 id="charts">Since this page was opened</h2>
      </div>
      <div class="card-body charts">
        {isKnown && (
          <Chart title={many ? `Lag of the ${MOST_SERIES} furthest behind` : "Lag"} times={times} series={lags} format={formatLag} />
        )}
        <Chart title="Packets that arrived" times={times} series={packetSeries(seen, link)} format={formatRate} />
      </div>
    </section>
  );
}

const only = (seen: typeof samples.value, link: string): typeof samples.value =>
  seen.map(({ at, links }) => {
    const found = links.get(link);
    return { at, links: new Map(found === undefined ? [] : [[link, found]]) };
  });
