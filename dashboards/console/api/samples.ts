import { signal } from "@preact/signals";
import type { Status } from "./types.ts";

/** One look at a link, in one direction: `up` is from the child to its parent. */
export interface DirectionSample {
  readonly lag: number | null;
  readonly pending: number | null;
  /** Packets that the other end has said it has, so far. */
  readonly acknowledged: number | null;
}

export interface Sample {
  /** Seconds since 1970, by the hub's clock. */
  readonly at: number;
  readonly links: ReadonlyMap<string, { readonly up: DirectionSample; readonly down: DirectionSample }>;
}

/** Half an hour, looked at every five seconds. */
const MOST = 360;
/** Looks that follow each other more closely, as after an event, say nothing of a rate. */
const LEAST_SECONDS = 2;

/** What the page has seen since it was opened, oldest first. */
export const samples = signal<readonly Sample[]>([]);

export function record(status: Status): void {
  const at = Date.parse(status.at) / 1000;
  const last = samples.peek().at(-1);
  if (last !== undefined && at < last.at + LEAST_SECONDS) return;
  const links: [string, { up: DirectionSample; down: DirectionSample }][] = status.links.map(({ parent, child, up, down }) => [
    `${parent}/${child}`,
    { up: sampled(up), down: sampled(down) },
  ]);
  for (const { parent, edge, pending_changes: pending, packets_received: received, packets_sent: sent } of status.edges) {
    links.push([
      `${parent}/${edge}`,
      { up: { lag: null, pending: null, acknowledged: Number(received) }, down: { lag: null, pending, acknowledged: Number(sent) } },
    ]);
  }
  samples.value = [...samples.peek(), { at, links: new Map(links) }].slice(-MOST);
}

const sampled = (direction: Status["links"][number]["up"]): DirectionSample => ({
  lag: direction.lag_seconds,
  pending: direction.pending_changes,
  acknowledged: direction.packets_acknowledged === null ? null : Number(direction.packets_acknowledged),
});
