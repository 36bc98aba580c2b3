import type { ReadCounts } from "../node/change-log.ts";
import type { CapturedCounts, Drift, NodeStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { LagBook } from "./lag.ts";
import { type Metrics, setNodeStatus } from "./metrics.ts";

/** What is younger than this is on its way and no sign of a stuck link. */
const PENDING_GRACE_MS = 5_000;

export interface NodePollOptions {
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly now: () => number;
  /** Whether what was captured is told. */
  readonly counts: boolean;
  /** The node's own state as its parent keeps it; null for the hub. */
  readonly stateAtParent: (node: string) => string | null;
  /** The groups of those that are edges, by their names. */
  readonly groupsOf: (children: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** Looks at one node and puts what it finds into the gauges. Throws what the database throws; the caller sets the node down. */
export async function pollNode(node: Node, options: NodePollOptions): Promise<NodeStatus> {
  const { metrics } = options;
  const before = shown.get(node);
  // whoever sets the node down in the meantime has it shown anew
  shown.delete(node);
  const status = await node.installation.status();
  options.lag.measured(node.name, status.identity.clockOffsetMs);
  if (options.counts) countCaptured(node, await node.installation.captured(), metrics);
  countReads(node, metrics);
  const drifts = await node.installation.verify();
  const state = options.stateAtParent(node.name) ?? "live";
  if (before?.status !== status) await countCopies(node, status, options);
  if (before?.status !== status || before.drifts !== drifts) showNode(node.name, status, drifts, metrics);
  if (before?.status !== status || before.state !== state) setNodeStatus(metrics, node.name, state);
  await tellPending(node, status, options);
  note(node, status, options.lag);
  shown.set(node, { status, drifts, state });
  return status;
}

/** What a node's gauges were set by. The same objects again were remembered, as nothing has been written since: many nodes at rest cost next to nothing. */
interface Shown {
  readonly status: NodeStatus;
  readonly drifts: readonly Drift[];
  readonly state: string;
}

const shown = new WeakMap<Node, Shown>();

function showNode(name: string, status: NodeStatus, drifts: readonly Drift[], metrics: Metrics): void {
  const label = { node: name };
  metrics.logRows.set(label, status.logRows);
  metrics.logBytes.set(label, status.logBytes);
  if (status.slot) metrics.slotRetained.set(label, status.slot.retainedBytes);
  if (status.slot?.catalogueAge == null) metrics.slotCatalogueAge.remove(label);
  else metrics.slotCatalogueAge.set(label, status.slot.catalogueAge);
  if (status.slot?.safeBytes == null) metrics.slotSafe.remove(label);
  else metrics.slotSafe.set(label, status.slot.safeBytes);
  metrics.conflictsOpen.set(label, status.openConflicts);
  metrics.parked.set(label, status.parkedChanges);
  metrics.refused.set(
    label,
    status.peers.reduce((sum, { refusedChanges }) => sum + refusedChanges, 0),
  );
  metrics.drifted.set(label, driftedTables(drifts, status));
  metrics.clockOffset.set(label, status.identity.clockOffsetMs / 1000);
}

async function countCopies(node: Node, status: NodeStatus, options: NodePollOptions): Promise<void> {
  countCopied(node, status, options.metrics);
  await countFullSyncs(node, status, options);
}

/** Of the edges of a group together. */
async function tellPending(node: Node, { peers, identity }: NodeStatus, { metrics, lag, now, groupsOf }: NodePollOptions): Promise<void> {
  const groups = await groupsOf(peers.filter(({ role }) => role === "child").map(({ name }) => name));
  const pending = new Map<string, number>();
  for (const peer of peers) {
    const target = groups.get(peer.name) ?? peer.name;
    const changes = peer.pendingChanges ?? 0;
    pending.set(target, (pending.get(target) ?? 0) + changes);
    if (changes > 0 && peer.oldestPendingAt !== null) {
      const oldestAt = peer.oldestPendingAt / 1000 - identity.clockOffsetMs;
      lag.of(node.name, peer.name, { source: node.name, target }).pending(oldestAt, now(), PENDING_GRACE_MS);
    }
  }
  const before = waiting.get(node);
  waiting.set(node, pending);
  for (const [target, changes] of pending) {
    // at 0 a gauge stays: whoever takes it away and declares it again does so at 0
    if (changes > 0 || before?.get(target) !== 0) metrics.lagChanges.set({ source: node.name, target }, changes);
  }
}

/** What was told to be pending last, by target. */
const waiting = new WeakMap<Node, ReadonlyMap<string, number>>();

/** What has been told of an open node; one that is opened anew begins at 0, as its counts do. */
const told = new WeakMap<Node, CapturedCounts>();

function countCaptured(node: Node, counts: CapturedCounts, metrics: Metrics): void {
  const before = told.get(node);
  if (before === counts) return;
  told.set(node, counts);
  for (const op of ["insert", "update", "delete", "truncate"] as const) {
    metrics.changesCaptured.inc({ node: node.name, op }, counts[op] - (before?.[op] ?? 0));
  }
}

const toldReads = new WeakMap<Node, ReadCounts>();

function countReads(node: Node, metrics: Metrics): void {
  const { reads } = node.log;
  const before = toldReads.get(node);
  toldReads.set(node, reads);
  for (const outcome of ["made", "spared"] as const) {
    metrics.logReads.inc({ node: node.name, outcome }, reads[outcome] - (before?.[outcome] ?? 0));
  }
}

const toldRows = new WeakMap<Node, Map<bigint, number>>();

/** What was copied before this process looked for the first time is not counted. */
function countCopied(node: Node, { fullSyncs = [] }: NodeStatus, metrics: Metrics): void {
  const before = toldRows.get(node);
  const now = new Map<bigint, number>();
  for (const { id, side, direction, rows } of fullSyncs) {
    if (side !== "target") continue;
    now.set(id, rows);
    if (before !== undefined) metrics.fullSyncRows.inc({ node: node.name, direction }, Math.max(0, rows - (before.get(id) ?? 0)));
  }
  toldRows.set(node, now);
}

const toldEnds = new WeakMap<Node, Map<bigint, string>>();

/** Of the node, and of edges that copy from it or to it: they are out of reach, so that the source, or the other target, tells. */
async function countFullSyncs(node: Node, { fullSyncs = [] }: NodeStatus, { metrics, groupsOf }: NodePollOptions): Promise<void> {
  const groups = fullSyncs.length === 0 ? new Map<string, string>() : await groupsOf(fullSyncs.map(({ peer }) => peer));
  const before = toldEnds.get(node);
  const now = new Map<bigint, string>();
  const running = new Map<string, number>([[node.name, 0], ...[...new Set(groups.values())].map((group) => [group, 0] as const)]);
  for (const { id, side, peer, state, differing } of fullSyncs) {
    now.set(id, state);
    const about = side === "target" ? node.name : groups.get(peer);
    if (about === undefined) continue;
    if (state === "running") running.set(about, (running.get(about) ?? 0) + 1);
    else if (state !== "requested" && before !== undefined && before.get(id) !== state) {
      metrics.fullSyncRuns.inc({ node: about, outcome: state });
      if (differing !== null) metrics.fullSyncRowsDiffering.inc({ node: about }, differing);
    }
  }
  toldEnds.set(node, now);
  for (const [about, runs] of running) metrics.fullSyncsRunning.set({ node: about }, runs);
}

const noting = new WeakSet<Node>();
/** What was noted last, and of which status: one that is the same object was remembered, as nothing has been written since. */
const noted = new WeakMap<Node, { readonly status: NodeStatus; readonly notes: string }>();

/** Not waited for: a database that is busy for long still answers, and its rows of neighbours are brought up to date later. */
function note(node: Node, status: NodeStatus, lag: LagBook): void {
  if (noting.has(node) || status.peers.length === 0) return;
  const notes = status.peers.map(({ name, pendingChanges }) => {
    const theirs = lag.clockOffsetMs(name);
    return { name, pendingChanges, clockOffsetMs: theirs === null ? null : theirs - status.identity.clockOffsetMs };
  });
  const text = JSON.stringify(notes);
  const last = noted.get(node);
  if (last?.status === status && last.notes === text) return;
  noting.add(node);
  const done = (): void => void noting.delete(node);
  node.installation.notePeers(notes).then(
    () => {
      noted.set(node, { status, notes: text });
      done();
    },
    // a node that cannot be written to shows in its link, which reports it
    done,
  );
}

/** Tables that `verify` finds changed now, and those that were marked before and still wait to be compared. */
function driftedTables(drifts: readonly Drift[], { tables }: NodeStatus): number {
  const marked = tables.filter(({ state }) => state === "must_compare").map(({ table }) => table);
  return new Set([...drifts.map(({ table }) => table), ...marked]).size;
}
