import type { DirectionSample, Sample } from "../../api/samples.ts";
import type { Series } from "../../components/chart.tsx";

/** How far each link is behind, both ways: of more links than fit those that were furthest behind. */
export function lagSeries(samples: readonly Sample[], most: number): readonly Series[] {
  const worst = new Map<string, number>();
  for (const { links } of samples) {
    for (const [link, { up, down }] of links) worst.set(link, Math.max(worst.get(link) ?? 0, up.lag ?? 0, down.lag ?? 0));
  }
  const shown = [...worst].sort((one, other) => other[1] - one[1]).slice(0, most);
  return shown
    .map(([link]) => link)
    .sort((one, other) => one.localeCompare(other, "en", { numeric: true }))
    .map((link) => ({ label: link, values: samples.map(({ links }) => worse(links.get(link))) }));
}

function worse(sample: { readonly up: DirectionSample; readonly down: DirectionSample } | undefined): number | null {
  const known = [sample?.up.lag, sample?.down.lag].filter((lag) => lag !== null && lag !== undefined);
  return known.length === 0 ? null : Math.max(...known);
}

/** Packets that arrived, a second, over all links or one of them. */
export function packetSeries(samples: readonly Sample[], link?: string): readonly Series[] {
  const rate = (direction: "up" | "down") =>
    samples.map((sample, index): number | null => {
      const before = samples[index - 1];
      if (before === undefined || sample.at <= before.at) return null;
      let packets = 0;
      for (const [name, now] of sample.links) {
        if (link !== undefined && name !== link) continue;
        const [then, later] = [before.links.get(name)?.[direction].acknowledged, now[direction].acknowledged];
        // a link that begins anew counts from the beginning
        if (then !== null && then !== undefined && later !== null) packets += Math.max(0, later - then);
      }
      return packets / (sample.at - before.at);
    });
  return [
    { label: "up, to the parents", values: rate("up") },
    { label: "down, to the children", values: rate("down") },
  ];
}
