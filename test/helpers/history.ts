import type { TestNode } from "./nodes.ts";

/** A row of the conflict history, as far as tests of what was recorded look at it. */
export interface RecordedConflict {
  readonly key: { readonly [column: string]: unknown };
  readonly kind: string;
  readonly resolution: string;
  /** Parent's, child's, base and result row, as JSON text one after the other. */
  readonly images: string;
}

/** What a node has decided as a parent, oldest first. */
export async function conflictHistory(node: TestNode, engine: "postgres" | "sqlite"): Promise<RecordedConflict[]> {
  const table = engine === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";
  const images = ["parent_row", "child_row", "base_row", "result_row"]
    .map((name) => `coalesce(cast(${name} as text), 'null')`)
    .join(" || ' ' || ");
  const rows = await node.rows(`select key, kind, resolution, ${images} from ${table} order by id`);
  return rows.map(([key, kind, resolution, all]) => ({
    key: (typeof key === "string" ? JSON.parse(key) : key) as RecordedConflict["key"],
    kind: kind as string,
    resolution: resolution as string,
    images: all as string,
  }));
}
