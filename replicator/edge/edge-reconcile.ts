import type { TableName } from "../change/names.ts";
import { sleep } from "../link/sleep.ts";
import { pairedTables } from "../reconcile/compared-tables.ts";
import { DELETE_GUARD } from "../reconcile/delete-guard.ts";
import { AUTOMATIC, isWhole, marksOf } from "../reconcile/marks.ts";
import { type LinkReport, type ReconcileOptions, reconcileEnds } from "../reconcile/reconcile-link.ts";
import { type EdgeLinkPlace, hubEngine } from "./edge-link-place.ts";
import { FarParent } from "./far-parent.ts";

/** Of one table. Beyond so many rows that look different a full sync is the better way: each is looked at over the line. */
const MOST_CANDIDATES = 20_000;

export interface EdgeReconcileOptions extends Pick<ReconcileOptions, "name" | "repair" | "scope" | "tables" | "guard" | "signal"> {
  /** The hub's wish that is taken up. */
  readonly run?: bigint;
  /** Lets what was sent arrive: exchanges, or nothing where an agent sees to that. */
  readonly carry: () => Promise<void>;
  readonly onProgress: (table: TableName, rows: number) => void;
  /** The hub has a record of it now. */
  readonly onBegun?: () => void;
}

/** As a hub asks for it. */
export const ALL_TABLES = { tables: null, guard: DELETE_GUARD, onProgress: (): void => {} } as const;

/**
 * Compares an edge with its hub, and repairs what differs if it is told to. Rows that are equal stay where they are: digests of ranges are compared, then rows one by one.
 * Throws what the hub answers.
 */
export async function reconcileWithHub(
  { node, end, link, topology, client, hubFeatures }: EdgeLinkPlace,
  {
    tables: only,
    run: asked = null,
    onBegun = () => {},
    ...options
  }: Omit<EdgeReconcileOptions, "run"> & { readonly run?: bigint | null } & { readonly now: () => number },
): Promise<LinkReport> {
  const { signal, now } = options;
  // before anything is compared: a reason that comes later stays
  const marks = await marksOf(node);
  const parent = new FarParent({
    client,
    end,
    edge: node.name,
    hub: link.parent,
    engine: hubEngine({ topology, link }),
    signal,
    now,
    asked,
    onBegun,
    automatic: options.name === AUTOMATIC && hubFeatures.includes("automatic_reconcile"),
  });
  const report = await reconcileEnds(
    { parent, child: node, link, topology },
    {
      ...options,
      sleep,
      mostCandidates: MOST_CANDIDATES,
      changedAbove: (tables, after) => parent.changed(tables, after),
      holdMs: () => parent.holdMs,
      plan: async () => {
        const below = await node.target.peer(link.parent);
        const above = await parent.tables(only, (names) => node.log.shapes(names));
        const { tables, skipped } = await pairedTables(node, { ...above, below, near: false });
        return { tables, skipped: [...above.skipped, ...skipped] };
      },
    },
  );
  const whole = new Set(report.tables.filter(isWhole).map(({ name }) => name));
  await node.reconciles.compared(marks.filter(({ table }) => whole.has(table)));
  return report;
}
