import { TomboloError } from "../change/error.ts";
import type { Epoch } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import { packet } from "../change/packet-seal.ts";
import type { Tick } from "../node/change-log.ts";
import type { ApplyContext, PeerState } from "../node/target.ts";
import type { Flow } from "./flow.ts";
import type { LinkScopes, ScopeStep } from "./link-scopes.ts";
import { type Bounds, fillHeader } from "./start-tables.ts";

export interface RescopeOptions {
  readonly steps: readonly ScopeStep[];
  readonly scopes: LinkScopes;
  readonly epoch: Epoch;
  readonly context: ApplyContext;
  readonly bounds: Bounds;
  /** Sends what there is up to a tick. */
  readonly catchUp: (tick: Tick) => Promise<void>;
  /** The child's state after it. */
  readonly state: () => Promise<PeerState>;
}

/**
 * Takes tables of the child over to other rows. Everything up to a tick is sent by the scopes that the child is at; then one packet makes its tables, as they
 * are at that tick, those of the new scopes: it has only the rows that come and go. From there on the new scopes count. Each of the two is one
 * transaction at the child, and each may be the last before a crash: whoever comes next finds by the child's number what is left to do.
 *
 * A filter that fails on what the log holds can be replaced all the same: its tables are filled anew.
 */
export async function rescope(flow: Flow, options: RescopeOptions): Promise<Receipt> {
  try {
    return await goOver(flow, options);
  } catch (error) {
    if (!(error instanceof TomboloError) || error.code !== "FILTER_FAILED") throw error;
    const steps = options.steps.map(({ table, fill }) => ({ table, fill: { ...fill, had: "unknown" } as const }));
    return goOver(flow, { ...options, steps, catchUp: async () => undefined });
  }
}

async function goOver(flow: Flow, options: RescopeOptions): Promise<Receipt> {
  const { steps, scopes, bounds } = options;
  const tables = steps.map(({ table }) => table);
  // before the cut: what the child writes after it is held to the new scopes, too
  const numbers = await scopes.numbers(tables);
  const snapshot = await flow.source.tables.open(tables, new Map(steps.map(({ table, fill }) => [table, fill])));
  try {
    await options.catchUp(snapshot.tick);
    const state = await options.state();
    const header = await fillHeader(flow, { tables, state, epoch: options.epoch, tick: snapshot.tick, numbers });
    const parts = snapshot.rows(bounds.maxRows, bounds.maxBytes);
    const receipt = await flow.target.target.apply(packet({ header, parts }), options.context);
    await scopes.arrived(numbers, flow.target.relayed === undefined);
    return receipt;
  } finally {
    await snapshot.close();
  }
}
