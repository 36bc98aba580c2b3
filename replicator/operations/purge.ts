import type { Node } from "../node/node.ts";

/** What a purge of one node's change log did. In Postgres rows are an estimate; a SQLite file keeps its size, and uses the room again. */
export interface PurgeReport {
  readonly node: string;
  readonly rows_before: number;
  readonly rows_after: number;
  readonly bytes_before: number;
  readonly bytes_after: number;
}

/** Removes at once what no reader needs any more, with a line in the audit trail. */
export async function purgeNode(node: Node, who: string): Promise<PurgeReport> {
  const before = await node.installation.status();
  await node.log.purge();
  const after = await node.installation.status();
  const report = {
    node: node.name,
    rows_before: before.logRows,
    rows_after: after.logRows,
    bytes_before: before.logBytes,
    bytes_after: after.logBytes,
  };
  await node.audit.record({ who, what: "log purged", details: { ...report } });
  return report;
}
