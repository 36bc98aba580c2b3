import type { TestNode } from "./nodes.ts";

/** Writes as drift comes about: nobody logs it. */
export async function unseen(node: TestNode, table: string, sql: string): Promise<void> {
  const switched = (how: string): string =>
    ["insert", "update", "delete"].map((name) => `alter table ${table} ${how} trigger tombolo_capture_${name}`).join("; ");
  if (node.node.engine === "postgres") await node.write(`${switched("disable")}; ${sql}; ${switched("enable always")}`);
  else await node.write(`update tombolo_local set skip = 1; ${sql}; update tombolo_local set skip = 0`);
}
