import type { Finding, WantedTable } from "../installation.ts";
import type { LocalTable } from "./shape.ts";

/**
 * What to know of keys that SQLite hands out itself. They cannot be set apart: the next rowid is the largest plus one whatever came in, with
 * AUTOINCREMENT too; a trigger cannot change the row that is about to be inserted, and one that changed it afterwards would leave the
 * application with a `last_insert_rowid()` of no row.
 */
export function rowidFindings({ table, sharesKeys, idStride }: WantedTable, local: LocalTable): Finding[] {
  const rowid = local.uniques.some(({ index, terms }) => index === null && local.key.length === 1 && terms[0]?.column === local.key[0]);
  if (!rowid || !sharesKeys) return [];
  const [key] = local.key;
  if (idStride === null) {
    const message = `SQLite hands out the ${key} of ${local.name}, as other nodes do theirs: two rows will get the same`;
    const hint = "use uuid keys (text), or let the application give the keys";
    return [{ severity: "warning", code: "IDS_COLLIDE", table, message, hint }];
  }
  const message = `the ${key} of ${local.name} is a rowid, which \`ids\` cannot set apart from those of other nodes`;
  const hint = `let the application give each row its ${key}: ${idStride.slot}, and then every ${idStride.stride} further; or use uuid keys (text)`;
  return [{ severity: "warning", code: "IDS_ROWID", table, message, hint }];
}
