import { TomboloError } from "../change/error.ts";
import type { ChannelName, NodeName, Position, ScopeNumber, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { TableShape } from "../change/shape.ts";
import type { RowText } from "../change/value.ts";
import { scopedTables } from "../link/flow.ts";
import type { KeyText } from "../node/digest.ts";
import { type DigestPair, digestPair } from "../node/digest-pair.ts";
import { keyReader } from "../node/digest-text.ts";
import type { Drift } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import { type Scope, sameFilter } from "../node/scopes.ts";
import type { PeerState } from "../node/target.ts";
import type { Direction, Topology, TopologyLink } from "../topology/topology.ts";
import type { DirectLink } from "./compared-link.ts";

/** A table that can be compared. */
export interface ComparedTable {
  readonly name: TableName;
  readonly channel: ChannelName;
  readonly direction: Direction;
  readonly pair: DigestPair;
  /** The rows that the child is given; null for all of them. */
  readonly filter: RowFilter | null;
  /** The key of a change of one of the nodes, as both tell it. */
  readonly keyOf: { parent(key: RowText): KeyText; child(key: RowText): KeyText };
  /** Of a table that was filled, or started, after its channel: from where on the other's log speaks of it. */
  readonly ahead: { readonly down: Position | null; readonly up: Position | null };
  /** Which choice of rows the child is at; null where it has all of them. */
  readonly rowScope: ScopeNumber | null;
}

/** A table that cannot be compared now, and why. */
export interface SkippedTable {
  readonly name: TableName;
  readonly error: TomboloError;
}

/** A table as the parent has it for the child. */
export interface ParentTable {
  readonly name: TableName;
  readonly channel: ChannelName;
  readonly direction: Direction;
  readonly filter: RowFilter | null;
  readonly shape: TableShape;
  /** See `ComparedTable.ahead`. */
  readonly aheadUp: Position | null;
}

/** The tables of a link, as they are now. `only`: those that somebody asked for; `ranged`: by ranges of their keys. */
export async function comparedTables(
  ends: DirectLink,
  only: readonly TableName[] | null,
  options: { readonly ranged?: boolean } = {},
): Promise<{ readonly tables: readonly ComparedTable[]; readonly skipped: readonly SkippedTable[] }> {
  const { parent, child, link, topology } = ends;
  const below = await child.target.peer(parent.name);
  const above = await parentTables(parent, { child: child.name, below, link, topology, only });
  const { tables, skipped } = await pairedTables(child, { ...above, below, near: true, ...options });
  return { tables, skipped: [...above.skipped, ...skipped] };
}

/** What the parent says of the tables. `below`: where the child is. */
export async function parentTables(
  parent: Node,
  options: {
    readonly child: NodeName;
    readonly below: PeerState;
    readonly link: TopologyLink;
    readonly topology: Topology;
    readonly only: readonly TableName[] | null;
    /** Whether the tables are as they were installed; looked at where it is not said. */
    readonly verified?: boolean;
  },
): Promise<{ readonly tables: readonly ParentTable[]; readonly skipped: readonly SkippedTable[] }> {
  const { child, below, link, topology, only, verified = false } = options;
  const [above, kept, drifts] = await Promise.all([parent.target.peer(child), parent.scopes.of(child), verified ? [] : driftsOf(parent)]);
  const wanted = new Map(scopedTables({ parent, link, topology }).map((table) => [table.name, table.wanted]));
  const tables: ParentTable[] = [];
  const skipped: SkippedTable[] = [];
  for (const { name: channel, direction } of link.channels) {
    const all = topology.channels.find(({ name }) => name === channel)?.tables ?? [];
    for (const { name } of all.filter((table) => only === null || only.includes(table.name))) {
      await unlessRefused(skipped, name, async () => {
        requireAsInstalled(name, drifts);
        requireStarted(name, { direction, below, above });
        const filter = filterOf(name, { direction, below, kept, wanted: wanted.get(name) ?? null });
        const [shape] = await parent.log.shapes([name]);
        if (shape !== undefined)
          tables.push({ name, channel, direction, filter, shape, aheadUp: above.channels.get(channel)?.ahead.get(name) ?? null });
      });
    }
  }
  return { tables, skipped };
}

/** The same with what the child says of them. */
export async function pairedTables(
  child: Node,
  options: {
    readonly tables: readonly ParentTable[];
    readonly below: PeerState;
    /** Whether this process asks the parent as well. */
    readonly near: boolean;
    readonly ranged?: boolean;
  },
): Promise<{ readonly tables: readonly ComparedTable[]; readonly skipped: readonly SkippedTable[] }> {
  const { below, near, ranged = false } = options;
  const drifts = await driftsOf(child);
  const tables: ComparedTable[] = [];
  const skipped: SkippedTable[] = [];
  for (const { name, channel, direction, filter, shape: parentShape, aheadUp } of options.tables) {
    await unlessRefused(skipped, name, async () => {
      requireAsInstalled(name, drifts);
      const [childShape] = await child.log.shapes([name]);
      if (childShape === undefined) return;
      const pair = digestPair(parentShape, childShape, { filter, near });
      if (ranged && pair.parent.order === "hash") throw unordered(name);
      const ahead = { down: below.channels.get(channel)?.ahead.get(name) ?? null, up: aheadUp };
      const keyOf = { parent: keyReader(parentShape, pair.parent), child: keyReader(childShape, pair.child) };
      tables.push({ name, channel, direction, pair, filter, keyOf, ahead, rowScope: below.scopes.get(name) ?? null });
    });
  }
  return { tables, skipped };
}

type NodeDrift = Drift & { readonly node: NodeName };

const driftsOf = async (node: Node): Promise<readonly NodeDrift[]> =>
  (await node.installation.verify()).map((drift) => ({ ...drift, node: node.name }));

async function unlessRefused(skipped: SkippedTable[], name: TableName, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof TomboloError) || error.kind === "connect") throw error;
    skipped.push({ name, error });
  }
}

/** Drift after which rows cannot be read as they were captured. Where only triggers are gone, comparing is what helps. */
const OTHER_TABLE = new Set(["TABLE_ALTERED", "TABLE_CHANGED", "TABLE_DROPPED", "TABLE_MISSING", "TABLE_RENAMED"]);

function requireAsInstalled(table: TableName, drifts: readonly NodeDrift[]): void {
  const drift = drifts.find((candidate) => candidate.table === table && OTHER_TABLE.has(candidate.code));
  if (drift === undefined) return;
  const { code, node, message, hint } = drift;
  throw new TomboloError(`${node}: ${message}`, { code, kind: "operator", hint });
}

function requireStarted(
  table: TableName,
  { direction, below, above }: { readonly direction: Direction; readonly below: PeerState; readonly above: PeerState },
): void {
  const down = direction === "up" || below.tables.has(table);
  const up = direction === "down" || above.tables.has(table);
  if (!down || !up) throw notFilled(table, "the child has not been given it yet");
}

/** The rows that the child has now. While it goes over to others, nobody can say which those are. */
function filterOf(
  table: TableName,
  options: { readonly direction: Direction; readonly below: PeerState; readonly kept: readonly Scope[]; readonly wanted: RowFilter | null },
): RowFilter | null {
  const { direction, below, kept, wanted } = options;
  if (direction === "up") return wanted;
  const number = below.scopes.get(table) ?? null;
  const own = kept.filter((scope) => scope.table === table);
  if (own.length === 0 && number === null && wanted === null) return null;
  const scope = own.find((candidate) => candidate.number === number);
  if (scope === undefined || own.at(-1) !== scope || !sameFilter(scope.filter, wanted)) {
    throw notFilled(table, "the child is about to be given other rows of it");
  }
  return scope.filter;
}

const unordered = (table: TableName): TomboloError =>
  new TomboloError(`${table} has no ranges of keys: only whole numbers and UUIDs sort alike in both databases`, {
    code: "RANGE_UNORDERED",
    kind: "usage",
    hint: "compare the whole table, or a sample of it",
  });

const notFilled = (table: TableName, why: string): TomboloError =>
  new TomboloError(`${table} cannot be compared yet: ${why}`, {
    code: "TABLE_NOT_FILLED",
    kind: "retry",
    hint: "let `tombolo run` or `tombolo sync` bring it over first",
  });
