import type { TableName } from "../change/names.ts";
import { sleep } from "../link/sleep.ts";
import { compareLink } from "../reconcile/compare-link.ts";
import { comparedTables } from "../reconcile/compared-tables.ts";
import type { FullSyncOptions } from "./options.ts";

/** How many rows of the tables differ, by digests, while both sides are written to; what is under way between the two is no difference. */
export async function differingRows(options: FullSyncOptions, names: readonly TableName[]): Promise<number> {
  const { tables, skipped } = await comparedTables(options, names);
  for (const { name, error } of skipped) options.watcher.note(`${name} cannot be compared: ${error.message}`);
  const compared = await compareLink(options, {
    ...{ tables, signal: options.signal, onProgress: () => {}, sleep: options.sleep ?? sleep },
    ...(options.pace !== undefined && { pace: options.pace }),
  });
  return compared.reduce((sum, { differences }) => sum + differences.length, 0);
}
