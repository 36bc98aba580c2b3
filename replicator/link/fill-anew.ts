import { TomboloError } from "../change/error.ts";
import type { Epoch } from "../change/names.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Flow } from "./flow.ts";
import type { LinkScopes } from "./link-scopes.ts";
import { rescope } from "./rescope.ts";
import type { Bounds } from "./start-tables.ts";

/** The log no longer reaches back to where the target stopped. */
export const isLeftBehind = (error: unknown): boolean => error instanceof TomboloError && error.code === "POSITION_UNKNOWN";

/**
 * Brings back a child out of reach that stayed away for longer than the log is kept: its tables are filled anew, in one packet. What it has written
 * itself meanwhile goes up before, as ever. From here on the log is kept for it again.
 */
export async function fillAnew(
  flow: Flow,
  options: { readonly scopes: LinkScopes; readonly epoch: Epoch; readonly context: ApplyContext; readonly bounds: Bounds },
): Promise<void> {
  const { source, target } = flow;
  const state = await target.target.peer(source.name);
  const tables = flow.groups.flat().flatMap((channel) => channel.tables.filter((table) => state.tables.has(table)));
  if (tables.length === 0) return;
  await source.rejoin.resume(target.name);
  const { scopes } = options;
  const wanted = scopes.first(tables);
  await rescope(flow, {
    ...options,
    steps: tables.map((table) => ({ table, fill: { rows: wanted.get(table)?.rows ?? null, had: "unknown" } })),
    catchUp: async () => undefined,
    state: () => target.target.peer(source.name),
  });
  await scopes.prepare(await target.target.peer(source.name), target.relayed?.confirmed());
}
