import { randomUUID } from "node:crypto";
import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { KeyRange, KeyText } from "../node/digest.ts";
import type { ReconcileOutcome, ReconcileRunTable, ReconcileScope, WholeReason } from "../node/reconcile-desk.ts";
import { changedKeys } from "./changed-keys.ts";
import { type ChangedAbove, type ChangedScope, changedScope, holdLogs, keepLogs } from "./changed-scope.ts";
import { compareLink } from "./compare-link.ts";
import type { ComparedLink, DirectLink } from "./compared-link.ts";
import { type ComparedTable, comparedTables, type SkippedTable } from "./compared-tables.ts";
import { type Difference, NOTHING_DIFFERS, type TableComparison } from "./comparison.ts";
import { type DeleteGuard, deletesOf, requireGuarded } from "./delete-guard.ts";
import { holdMs } from "./hold-time.ts";
import { type RepairSide, repairTable } from "./repair-link.ts";
import { type Sleep, settleCandidates } from "./settle.ts";

export interface ReconcileOptions {
  /** Of the schedule; `manual` where a person asks. */
  readonly name: string;
  readonly repair: "report" | RepairSide;
  /** Missing: all. */
  readonly scope?: ReconcileScope;
  /** Null for all tables of the link. */
  readonly tables: readonly TableName[] | null;
  readonly range?: KeyRange;
  /** Share of the ranges that is compared. */
  readonly sample?: number;
  /** Per cent of the time that the databases are asked something; all of it where it is missing. */
  readonly pace?: number;
  readonly guard: DeleteGuard;
  /** Lets what was sent arrive: a round of the link, or nothing where another process carries it. */
  readonly carry: (ends: DirectLink) => Promise<void>;
  readonly signal: AbortSignal;
  readonly onProgress: (ends: DirectLink, table: TableName, rows: number) => void;
  readonly sleep: Sleep;
  readonly now: () => number;
}

export interface TableReport {
  readonly name: TableName;
  readonly compared: number;
  readonly differing: number;
  readonly repaired: number;
  /** Rows of which news are under way, repairs that have not arrived among them. */
  readonly unsettled: number;
  readonly parked: number;
  /** Some of the rows that differed. */
  readonly examples: readonly Difference[];
  /** By kind, of the rows that differed. */
  readonly kinds: { readonly [kind in Difference["kind"]]: number };
  /** Not all rows were compared: those that have changed, a range, a sample, or too many differences. */
  readonly isPartial: boolean;
  readonly scope: ReconcileScope;
  /** Why all rows were compared although the changes were asked for. */
  readonly whole: WholeReason | null;
  /** Why it was not compared, or not repaired; null where it was. */
  readonly error: TomboloError | null;
}

export interface LinkReport {
  readonly ends: ComparedLink;
  readonly outcome: ReconcileOutcome;
  readonly tables: readonly TableReport[];
}

const EXAMPLES = 5;

/** Compares the two ends of a link, repairs what differs if it is told to, and keeps a record of it at the parent. */
export function reconcileLink(ends: DirectLink, options: ReconcileOptions): Promise<LinkReport> {
  return reconcileEnds(ends, {
    ...options,
    plan: () => comparedTables(ends, options.tables, { ranged: options.range !== undefined }),
    carry: () => options.carry(ends),
    changedAbove: (tables, after) =>
      changedKeys(ends.parent, {
        reader: ends.child.name,
        after,
        tables: tables.map(({ name, filter, keyOf }) => ({ name, filter, keyOf: keyOf.parent })),
      }),
    holdMs: () => holdMs(ends.topology, ends.link, { scope: options.scope ?? "all", name: options.name, nowMs: options.now() }),
    onProgress: (table, rows) => options.onProgress(ends, table, rows),
  });
}

export interface ReconcileEndsOptions extends Omit<ReconcileOptions, "carry" | "onProgress" | "tables"> {
  readonly plan: () => Promise<{ readonly tables: readonly ComparedTable[]; readonly skipped: readonly SkippedTable[] }>;
  readonly carry: () => Promise<void>;
  readonly changedAbove: ChangedAbove;
  /** Asked once the run is entered: how long the logs are kept for a next comparison of what has changed; null for none. */
  readonly holdMs: () => number | null;
  readonly onProgress: (table: TableName, rows: number) => void;
  /** See `CompareLinkOptions`. */
  readonly mostCandidates?: number;
}

/** The same, wherever the parent is. */
export async function reconcileEnds(ends: ComparedLink, options: ReconcileEndsOptions): Promise<LinkReport> {
  const { parent, child } = ends;
  const { scope: wanted = "all" } = options;
  const id = await parent.reconciles.begin({ name: options.name, peer: child.name, repair: options.repair, scope: wanted });
  try {
    // what is known to be under way needs no repair
    if (options.repair !== "report") await options.carry();
    const { tables, skipped } = await options.plan();
    const forMs = options.range === undefined && options.sample === undefined ? options.holdMs() : null;
    const held = forMs === null ? null : await holdLogs(ends, tables, randomUUID());
    const scope = wanted === "all" ? ALL_ROWS : await changedScope(ends, { tables, held, above: options.changedAbove });
    const comparisons = await compareLink(ends, { ...options, tables, changed: scope.changed });
    const repaired =
      options.repair === "report" ? comparisons.map(unrepaired) : await repairAll(ends, comparisons, options.repair, options);
    if (held !== null && forMs !== null) await keepLogs(ends, { comparisons, held, forMs });
    const reports = [
      ...repaired.map((done) => tableReport(done, scope, options)),
      ...skipped.map(({ name, error }): TableReport => ({ ...NOT_COMPARED, name, error })),
    ];
    const outcome = outcomeOf(reports);
    await parent.reconciles.finish(id, { state: outcome, tables: reports.map(runTable), error: null });
    return { ends, outcome, tables: reports };
  } catch (error) {
    const code = error instanceof TomboloError ? error.code : options.signal.aborted ? "RUN_INTERRUPTED" : "UNEXPECTED";
    await parent.reconciles.finish(id, { state: "failed", tables: [], error: code }).catch(() => {});
    throw error;
  }
}

const NOT_COMPARED: Omit<TableReport, "name" | "error"> = {
  compared: 0,
  differing: 0,
  repaired: 0,
  unsettled: 0,
  parked: 0,
  examples: [],
  kinds: { differs: 0, only_parent: 0, only_child: 0 },
  isPartial: true,
  scope: "all",
  whole: null,
};

const ALL_ROWS: ChangedScope = { changed: new Map(), whole: new Map() };

/** What was done about one table. */
interface Repaired {
  readonly comparison: TableComparison;
  readonly repaired: number;
  /** Of what was sent, as in `Settled`. */
  readonly unsettled: number;
  readonly parked: number;
  readonly error: TomboloError | null;
}

const unrepaired = (comparison: TableComparison): Repaired => ({ comparison, repaired: 0, unsettled: 0, parked: 0, error: null });

/** Parents before children would be nicer to foreign keys, but the link sees to those by itself. */
async function repairAll(
  ends: ComparedLink,
  comparisons: readonly TableComparison[],
  side: RepairSide,
  options: ReconcileEndsOptions,
): Promise<readonly Repaired[]> {
  const sent = new Map<ComparedTable, ReadonlySet<KeyText>>();
  const errors = new Map<ComparedTable, TomboloError>();
  const { who, nowMs, signal } = { who: `reconcile ${options.name}`, nowMs: options.now(), signal: options.signal };
  for (const comparison of comparisons) {
    const { table, differences } = comparison;
    if (differences.length === 0) continue;
    try {
      requireGuarded(comparison, deletesOf(comparison), options.guard);
      sent.set(table, new Set(await repairTable(ends, table, differences, { side, who, nowMs, signal })));
    } catch (error) {
      if (!(error instanceof TomboloError) || error.kind === "connect") throw error;
      errors.set(table, error);
    }
  }
  if (sent.size > 0) await options.carry();
  const settled = await settleCandidates(ends, { candidates: sent, isSent: true, signal, sleep: options.sleep });
  return comparisons.map((comparison) => {
    const { table } = comparison;
    const { differences, unsettled, parked } = settled.get(table) ?? NOTHING_DIFFERS;
    const repaired = (sent.get(table)?.size ?? 0) - differences.length - unsettled - parked;
    return { comparison, repaired, unsettled, parked, error: errors.get(table) ?? null };
  });
}

function tableReport(
  { comparison, repaired, unsettled, parked, error }: Repaired,
  scope: ChangedScope,
  { range, sample = 1 }: ReconcileEndsOptions,
): TableReport {
  const { table, compared, differences, isPartial } = comparison;
  const count = (wanted: Difference["kind"]): number => differences.filter(({ kind }) => kind === wanted).length;
  return {
    name: table.name,
    compared,
    differing: differences.length,
    repaired,
    unsettled: comparison.unsettled + unsettled,
    parked: comparison.parked + parked,
    examples: differences.slice(0, EXAMPLES),
    kinds: { differs: count("differs"), only_parent: count("only_parent"), only_child: count("only_child") },
    isPartial: isPartial || scope.changed.has(table) || range !== undefined || sample < 1,
    scope: scope.changed.has(table) ? "changed" : "all",
    whole: scope.whole.get(table) ?? null,
    error,
  };
}

const runTable = ({
  name,
  compared,
  differing,
  repaired,
  unsettled,
  parked,
  examples,
  scope,
  whole,
  error,
}: TableReport): ReconcileRunTable => ({
  table: name,
  compared,
  differing,
  repaired,
  unsettled,
  parked,
  examples: examples.map(({ key }) => key),
  scope,
  whole,
  error: error?.code ?? null,
});

function outcomeOf(tables: readonly TableReport[]): ReconcileOutcome {
  if (tables.some(({ error }) => error?.code === "RECONCILE_DELETES")) return "stopped";
  if (tables.some(({ differing, repaired }) => differing > repaired)) return "drift";
  if (tables.some(({ error }) => error !== null)) return "failed";
  return tables.some(({ repaired }) => repaired > 0) ? "repaired" : "clean";
}
