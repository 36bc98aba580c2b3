import type { FullSyncResult } from "./full-sync.ts";

/** What came of a full sync, as JSON answers carry it. */
export function fullSyncReport(result: FullSyncResult): object {
  const { source, target, tables, state, resumed, rows, bytes: size, seconds, receipt, backup, differences, unverified } = result;
  return {
    ...{ source, target, tables, state, resumed, rows, bytes: size, seconds, backup, differences, unverified: unverified?.message ?? null },
    added: receipt?.applied.insert ?? 0,
    changed: receipt?.applied.update ?? 0,
    removed: receipt?.applied.delete ?? 0,
    parked: receipt?.parked ?? 0,
  };
}
