import type { Row, Value } from "../../change/value.ts";
import type { Clash, ConflictKind } from "../../change/verdict.ts";

/**
 * A value as a module sees it: SQLite INTEGER is a bigint, REAL a number, BLOB a Uint8Array; TEXT is a string, and so is every value of
 * a Postgres table, as Postgres prints it. NULL is null.
 */
export type PlainValue = null | string | bigint | number | Uint8Array;
export type PlainRow = { readonly [column: string]: PlainValue };

/** What a user's module is asked: a copy, plain data. Documented in docs/conflicts.md. */
export interface ModuleConflict {
  /** As the topology names it: `schema.table`. */
  readonly table: string;
  /** The key's columns and their values. */
  readonly key: PlainRow;
  readonly kind: ConflictKind;
  readonly op: "insert" | "update" | "delete";
  /** The row as the child knew it before its change; null for an insert. */
  readonly base: PlainRow | null;
  readonly parent: PlainRow | null;
  readonly child: PlainRow | null;
  /** The columns that the child changed. */
  readonly changed: readonly string[];
  /** RFC 3339, UTC, by the parent's clock; null where it is not known. */
  readonly parentChangedAt: string | null;
  readonly childChangedAt: string | null;
  readonly parentNode: string;
  readonly childNode: string;
}

const OPERATIONS = { I: "insert", U: "update", D: "delete" } as const;

export function moduleConflict(clash: Clash): ModuleConflict {
  return {
    table: clash.table,
    key: keyOf(clash),
    kind: kindOf(clash),
    op: OPERATIONS[clash.op],
    base: plainRow(clash.base),
    parent: plainRow(clash.parent),
    child: plainRow(clash.child),
    changed: clash.changed,
    parentChangedAt: isoTime(clash.parentChangedAt),
    childChangedAt: isoTime(clash.childChangedAt),
    parentNode: clash.parentNode,
    childNode: clash.childNode,
  };
}

function kindOf({ op, parent }: Clash): ConflictKind {
  if (op === "I") return "insert_insert";
  if (op === "D") return "update_delete";
  return parent === null ? "delete_update" : "update_update";
}

function keyOf({ key, parent, child, base }: Clash): PlainRow {
  const row = parent ?? child ?? base ?? {};
  return Object.fromEntries(key.map((column) => [column, plainValue(row[column] ?? null)]));
}

/** From entries, so that a column named `__proto__` is one like any other. */
const plainRow = (row: Row | null): PlainRow | null =>
  row && Object.fromEntries(Object.entries(row).map(([column, value]) => [column, plainValue(value)]));

function plainValue(value: Value): PlainValue {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return BigInt(value.i);
  // a plain array of bytes: a Buffer would arrive with the whole pool that it is a part of
  return "r" in value ? Number(value.r) : new Uint8Array(Buffer.from(value.b, "hex"));
}

/** Microseconds since 1970, with all six digits. */
function isoTime(microseconds: number | null): string | null {
  if (microseconds === null) return null;
  const seconds = Math.floor(microseconds / 1e6);
  const time = new Date(seconds * 1000).toISOString().slice(0, -"000Z".length);
  return `${time}${String(microseconds - seconds * 1e6).padStart(6, "0")}Z`;
}
