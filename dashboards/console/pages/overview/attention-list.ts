import type { Status } from "../../api/types.ts";
import { formatDuration, plural } from "../../format.ts";

/** Something that a person should look at. */
export interface Finding {
  readonly tone: "bad" | "warn";
  /** Which node or link. */
  readonly of: string;
  readonly what: string;
  readonly why: string | null;
  /** What to do about it. */
  readonly remedy: string;
  /** Of a page of the console, where that can be done or looked at. */
  readonly to: string;
  readonly params?: Readonly<Record<string, string>>;
}

/** Below that a link that is behind is a link at work. */
const LAG_HIGH_SECONDS = 60;
const CLOCK_SKEW_MS = 1_000;
const SILENT_MS = 24 * 3_600_000;

const REMEDIES: Readonly<Record<string, string>> = {
  must_resync: "Let the two begin anew: resync it.",
  paused: "Changes are kept until it is resumed.",
  lagging: "It is catching up. Look whether the node and its network keep pace with what is written.",
  down: "Look whether its database and the network are up; it goes on by itself.",
};

/** What needs attention, the worst first. The same measures as the alert rules have. */
export function findings(status: Status): readonly Finding[] {
  const down = new Set(status.nodes.filter(({ state }) => state !== "up").map(({ name }) => name));
  const found = [
    ...status.nodes.flatMap(ofNode),
    ...status.links.flatMap((link) => ofLink(link, down)),
    ...status.edges.flatMap((edge) => ofEdge(edge, Date.parse(status.at))),
  ];
  return found.toSorted((one, other) => rank(one) - rank(other));
}

const rank = ({ tone }: Finding): number => (tone === "bad" ? 0 : 1);
const nodePath = (name: string): string => `/nodes/${encodeURIComponent(name)}`;

function ofNode(node: Status["nodes"][number]): Finding[] {
  const { name, state, error, drift, conflicts_open: open, parked_changes: parked, clock_offset_ms: offset, full_sync: sync } = node;
  const found: Finding[] = [];
  const add = (finding: Omit<Finding, "of" | "to"> & { to?: string }): void =>
    void found.push({ of: name, to: nodePath(name), ...finding });
  if (state !== "up") {
    const what = state === "down" ? "The database does not answer" : "The database answers, but is not ready";
    add({ tone: "bad", what, why: error?.message ?? null, remedy: error?.hint ?? (REMEDIES.down as string) });
  }
  if (drift.length > 0) {
    const [first] = drift;
    const why = first === undefined ? null : `${first.table}: ${first.reason ?? first.state.replaceAll("_", " ")}`;
    add({ tone: "bad", what: `${plural(drift.length, "table")} not in step`, why, remedy: "See its tables for what each needs." });
  }
  if (open !== null && open > 0) {
    const remedy = "Decide which version is right.";
    add({ tone: "warn", what: plural(open, "open conflict"), why: null, remedy, to: "/conflicts", params: { node: name, status: "open" } });
  }
  if (parked !== null && parked > 0) {
    const remedy = "See what blocks each; retry or discard it.";
    add({ tone: "warn", what: plural(parked, "parked change"), why: null, remedy, to: "/parked", params: { node: name } });
  }
  if (offset !== null && Math.abs(offset) > CLOCK_SKEW_MS) {
    const what = `The clock is ${formatDuration(Math.abs(offset) / 1000)} ${offset > 0 ? "ahead" : "behind"}`;
    add({ tone: "warn", what, why: "Newest-wins decisions compare clocks.", remedy: "Let its host synchronise its clock." });
  }
  if (sync !== null && (sync.state === "failed" || sync.state === "interrupted")) {
    const remedy = "Start it again; the tables are as they were.";
    add({
      tone: "warn",
      what: `The last full sync ${sync.state === "failed" ? "failed" : "was interrupted"}`,
      why: sync.error,
      remedy,
      to: "/full-sync",
    });
  }
  return found;
}

function ofLink(link: Status["links"][number], down: ReadonlySet<string>): Finding[] {
  const { parent, child, state, reason, up, down: downwards, refused_changes: refused } = link;
  const base = { of: `${parent} ⇄ ${child}`, to: nodePath(child) };
  // a node that is down has said so itself
  if (state === "down" && (down.has(parent) || down.has(child))) return [];
  const found: Finding[] = [];
  const remedy = REMEDIES[state];
  if (remedy !== undefined) {
    const what = state === "must_resync" ? "It cannot go on by itself" : `The link is ${state}`;
    found.push({ ...base, tone: state === "must_resync" || state === "down" ? "bad" : "warn", what, why: reason, remedy });
  }
  for (const [direction, lag, words] of [
    ["up", up.lag_seconds, `${child} → ${parent}`],
    ["down", downwards.lag_seconds, `${parent} → ${child}`],
  ] as const) {
    if (lag === null || lag <= LAG_HIGH_SECONDS || state === "paused") continue;
    const pending = (direction === "up" ? up : downwards).pending_changes;
    const why = pending === null ? null : `${plural(pending, "change")} ${pending === 1 ? "waits" : "wait"}.`;
    found.push({ ...base, of: words, tone: "warn", what: `${formatDuration(lag)} behind`, why, remedy: REMEDIES.lagging as string });
  }
  if (refused !== null && refused > 0) {
    const what = `${plural(refused, "change")} of ${child} ${refused === 1 ? "waits" : "wait"} at ${parent}`;
    found.push({
      ...base,
      tone: "warn",
      what,
      why: link.refused[0]?.oldest.reason ?? null,
      remedy: "See what blocks each.",
      to: "/parked",
    });
  }
  return found;
}

function ofEdge(edge: Status["edges"][number], nowMs: number): Finding[] {
  const base = { of: edge.edge, to: nodePath(edge.edge) };
  const found: Finding[] = [];
  const remedy = REMEDIES[edge.state];
  if (remedy !== undefined) {
    const what = edge.state === "must_resync" ? "It cannot go on by itself" : `The edge is ${edge.state}`;
    found.push({ ...base, tone: edge.state === "must_resync" ? "bad" : "warn", what, why: edge.reason, remedy });
  }
  const seen = Math.max(...[edge.last_in, edge.last_out].map((at) => (at === null ? Number.NEGATIVE_INFINITY : Date.parse(at))));
  if (nowMs - seen > SILENT_MS && Number.isFinite(seen) && edge.state !== "paused") {
    const what = `Silent for ${formatDuration((nowMs - seen) / 1000)}`;
    found.push({ ...base, tone: "warn", what, why: null, remedy: "Look whether it is switched on and reaches the hub." });
  }
  return found;
}
