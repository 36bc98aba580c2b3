import type { NodeName } from "../change/names.ts";
import type { NodeStatus, PeerStatus, WaitingChanges } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { Topology } from "../topology/topology.ts";
import { describeError } from "./describe-error.ts";
import { type EdgeReport, edgeReports, type Wanted, wantedOfEdges } from "./edge-report.ts";
import { type FullSyncReport, fullSyncReport } from "./full-sync-report.ts";
import type { LagBook } from "./lag.ts";

/** What `status --json` prints and `/status` serves. Snake case, units in names, RFC 3339, packet numbers as strings. */
export interface StatusReport {
  readonly topology: string;
  readonly at: string;
  readonly nodes: readonly NodeReport[];
  readonly links: readonly LinkReport[];
  /** Edges that reach their parent over HTTP, and have. */
  readonly edges: readonly EdgeReport[];
}

export interface NodeReport {
  readonly name: string;
  readonly engine: "postgres" | "sqlite";
  /** `up`; `not_ready` when the database answers but cannot be reported on, as Tombolo is not installed there; `down` when it does not answer. */
  readonly state: "up" | "not_ready" | "down";
  /** Why it is not up. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly version: string | null;
  readonly epoch: string | null;
  readonly clock_offset_ms: number | null;
  readonly log_rows: number | null;
  readonly log_bytes: number | null;
  readonly conflicts_open: number | null;
  readonly parked_changes: number | null;
  /** Another one whenever a conflict, a parked change, a comparison or an entry of the audit trail has been added. */
  readonly revision: string | null;
  /** Captured tables that are not `live`. */
  readonly drift: readonly { readonly table: string; readonly state: string; readonly reason: string | null }[];
  /** The newest full sync that the node was the target of; null where there was none. */
  readonly full_sync: FullSyncReport | null;
}

export interface LinkReport {
  readonly parent: string;
  readonly child: string;
  /** The child's state as the parent keeps it, `down` when one end cannot be reached, `new` before the first exchange. */
  readonly state: string;
  readonly reason: string | null;
  /** As the child sees it: when something last came down to it, and when something last went up from it. */
  readonly last_in: string | null;
  readonly last_out: string | null;
  readonly up: DirectionReport;
  readonly down: DirectionReport;
  /** Conflicts about the child's changes that wait for a person, in the parent. */
  readonly conflicts_open: number | null;
  readonly parked_changes: number | null;
  /** What waits at each end, by what refuses it. */
  readonly parked_at_parent: readonly WaitingReport[];
  readonly parked_at_child: readonly WaitingReport[];
  /** What the child has been told of its own changes that wait at the parent. */
  readonly refused_changes: number | null;
  readonly refused: readonly WaitingReport[];
}

/** Parked changes that one rule refuses, and the oldest of them. */
export interface WaitingReport {
  readonly code: string;
  readonly changes: number;
  readonly oldest: {
    /** Of the parked change; null where another node keeps it. */
    readonly id: string | null;
    readonly table: string;
    readonly op: string;
    readonly reason: string;
    readonly parked_at: string;
  };
}

/** Null where the database that knows it cannot be reached. */
export interface DirectionReport {
  readonly pending_changes: number | null;
  /** Age of the oldest change that the target is not known to have; 0 when there is none. */
  readonly lag_seconds: number | null;
  readonly packets_sent: string | null;
  readonly packets_acknowledged: string | null;
}

/** A node to report on: open, or the reason why not. */
export type Reached = { readonly node: Node } | { readonly error: unknown };

type Looked = { readonly status: NodeStatus; readonly wanted: Wanted } | { readonly error: unknown; readonly answers: boolean };

/**
 * Asks every node that is reached. Changes nothing, throws nothing: what cannot be asked is reported as such. `lag`: of links that this process moves. A source
 * hears up to a second later what its target has; whoever moves the link knows.
 */
export async function collectStatus(
  topology: Topology,
  nodes: ReadonlyMap<NodeName, Reached>,
  now: () => number,
  lag?: Pick<LagBook, "secondsOf">,
): Promise<StatusReport> {
  const looked = new Map<NodeName, Looked>();
  const parents = new Set(topology.groups.map(({ parent }) => parent));
  const look = async (name: NodeName): Promise<void> => {
    const reached = nodes.get(name) ?? { error: undefined };
    try {
      if (!("node" in reached)) return void looked.set(name, { error: reached.error, answers: false });
      const status = await reached.node.installation.status();
      looked.set(name, { status, wanted: parents.has(name) ? await wantedOfEdges(reached.node) : NOTHING_WANTED });
    } catch (error) {
      looked.set(name, { error, answers: describeError(error).kind !== "connect" });
    }
  };
  await Promise.all(topology.nodes.map(({ name }) => look(name)));
  const at = now();
  const peer = (of: NodeName, name: NodeName): SeenPeer | null => {
    const status = statusOf(looked.get(of));
    const found = status?.peers.find((candidate) => candidate.name === name);
    return status === null || found === undefined ? null : { ...found, offsetMs: status.identity.clockOffsetMs };
  };
  return {
    topology: topology.name,
    at: new Date(at).toISOString(),
    nodes: topology.nodes.map(({ name, type }) => nodeReport(name, type, looked.get(name))),
    edges: topology.nodes.flatMap(({ name }) => {
      const seen = looked.get(name);
      return seen !== undefined && "status" in seen ? edgeReports(topology, name, { status: seen.status, wanted: seen.wanted }) : [];
    }),
    links: topology.links.map(({ parent, child }) => {
      const [above, below] = [peer(parent, child), peer(child, parent)];
      const down = [parent, child].some((end) => stateOf(looked.get(end)) === "down");
      return {
        parent,
        child,
        state: down ? "down" : (above?.state ?? "new"),
        reason: above?.reason ?? null,
        last_in: below?.lastSyncIn ?? null,
        last_out: below?.lastSyncOut ?? null,
        up: direction(below, above, at, lag?.secondsOf(child, parent, at)),
        down: direction(above, below, at, lag?.secondsOf(parent, child, at)),
        conflicts_open: above?.openConflicts ?? null,
        parked_changes: above === null && below === null ? null : (above?.parkedChanges ?? 0) + (below?.parkedChanges ?? 0),
        parked_at_parent: (above?.parked ?? []).map(waitingReport),
        parked_at_child: (below?.parked ?? []).map(waitingReport),
        refused_changes: below?.refusedChanges ?? null,
        refused: (below?.refused ?? []).map(waitingReport),
      };
    }),
  };
}

const OPERATIONS: { readonly [op: string]: string } = { I: "insert", U: "update", D: "delete", T: "truncate", R: "refresh" };

/** `Change.op` as a person says it. */
export const operationName = (op: string): string => OPERATIONS[op] ?? op;

const waitingReport = ({ code, changes, oldest }: WaitingChanges): WaitingReport => ({
  code,
  changes,
  oldest: {
    id: oldest.id?.toString() ?? null,
    table: oldest.table,
    op: operationName(oldest.op),
    reason: oldest.reason,
    parked_at: oldest.parkedAt,
  },
});

const NOTHING_WANTED: Wanted = { fullSyncs: new Map(), reconciles: new Map() };

type SeenPeer = PeerStatus & { readonly offsetMs: number };

function statusOf(looked: Looked | undefined): NodeStatus | null {
  return looked !== undefined && "status" in looked ? looked.status : null;
}

function stateOf(looked: Looked | undefined): NodeReport["state"] {
  if (looked === undefined) return "down";
  return "status" in looked ? "up" : looked.answers ? "not_ready" : "down";
}

function nodeReport(name: string, engine: "postgres" | "sqlite", looked: Looked | undefined): NodeReport {
  const status = statusOf(looked);
  const failure = looked !== undefined && "error" in looked ? looked.error : undefined;
  return {
    name,
    engine,
    state: stateOf(looked),
    error: status === null ? failureReport(failure) : null,
    version: status?.identity.version ?? null,
    epoch: status?.identity.epoch ?? null,
    clock_offset_ms: status?.identity.clockOffsetMs ?? null,
    log_rows: status?.logRows ?? null,
    log_bytes: status?.logBytes ?? null,
    conflicts_open: status?.openConflicts ?? null,
    parked_changes: status?.parkedChanges ?? null,
    revision: status?.revision ?? null,
    drift: (status?.tables ?? []).filter(({ state }) => state !== "live"),
    full_sync: fullSyncReport(status?.fullSyncs?.find(({ side }) => side === "target")),
  };
}

function failureReport(error: unknown): { code: string; message: string; hint: string | null } {
  if (error === undefined) return { code: "NOT_OPENED", message: "has not been opened yet", hint: null };
  const { code, message, hint } = describeError(error);
  return { code, message, hint: hint ?? null };
}

/** @param source what the source keeps of the target, @param target what the target keeps of the source, @param measured by whoever moves the link, seconds. */
function direction(source: SeenPeer | null, target: SeenPeer | null, at: number, measured = Number.POSITIVE_INFINITY): DirectionReport {
  const acknowledged = source?.sentPacket ?? null;
  const received = target?.receivedPacket ?? null;
  // what has been applied was sent, even where the acknowledgement is still on its way
  const sent = acknowledged === null || (received !== null && received > acknowledged) ? received : acknowledged;
  return {
    pending_changes: source?.pendingChanges ?? null,
    // both are bounds
    lag_seconds: source === null || source.pendingChanges === null ? null : Math.min(lagSeconds(source, at), measured),
    packets_sent: sent?.toString() ?? null,
    packets_acknowledged: acknowledged?.toString() ?? null,
  };
}

function lagSeconds(peer: SeenPeer, at: number): number {
  if (peer.pendingChanges === 0 || peer.oldestPendingAt === null) return 0;
  return Math.max(0, Math.round(at - (peer.oldestPendingAt / 1000 - peer.offsetMs)) / 1000);
}
