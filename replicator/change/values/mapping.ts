import type { ColumnKind } from "./affinity.ts";

/**
 * The contract between the engines, as data: the converters are chosen from it and docs/values.md is printed from it.
 * A Postgres type belongs to a family; a SQLite column is of a kind; the cell says how the value is stored there.
 */
export type Family = "integer" | "boolean" | "float" | "numeric" | "bytes" | "text" | "printed" | "other";

export interface Cell {
  /** What is bound; affinity may still make an INTEGER of a REAL or the reverse, without changing what is read back. Null: refused. */
  readonly as: "INTEGER" | "REAL" | "TEXT" | "BLOB" | null;
  /** Values of the type that this kind of column cannot hold exactly; they are refused, each by itself. */
  readonly except?: string;
}

export interface FamilyMapping {
  readonly title: string;
  /** `pg_type.typname`s; empty for the family of everything else. */
  readonly types: readonly string[];
  readonly cells: { readonly [kind in ColumnKind]: Cell };
  /** What Postgres accepts from SQLite, by storage class. */
  readonly fromSqlite: { readonly INTEGER: string; readonly REAL: string; readonly TEXT: string; readonly BLOB: string };
}

const INTEGER: Cell = { as: "INTEGER" };
const REAL: Cell = { as: "REAL" };
const TEXT: Cell = { as: "TEXT" };
const BLOB: Cell = { as: "BLOB" };
const REFUSED: Cell = { as: null };

const textExcept = (except?: string): { readonly [kind in ColumnKind]: Cell } => {
  const number: Cell = except === undefined ? TEXT : { as: "TEXT", except };
  return {
    number,
    real: number,
    text: TEXT,
    none: TEXT,
    strict_integer: REFUSED,
    strict_real: REFUSED,
    strict_text: TEXT,
    strict_blob: REFUSED,
  };
};

const NO = "refused";

export const MAPPING: { readonly [family in Family]: FamilyMapping } = {
  integer: {
    title: "Integers",
    types: ["int2", "int4", "int8", "oid"],
    cells: {
      number: INTEGER,
      real: { as: "INTEGER", except: "integers that no double holds (beyond 2^53)" },
      text: TEXT,
      none: INTEGER,
      strict_integer: INTEGER,
      strict_real: { as: "INTEGER", except: "integers that no double holds (beyond 2^53)" },
      strict_text: TEXT,
      strict_blob: REFUSED,
    },
    fromSqlite: {
      INTEGER: "in the type's range",
      REAL: "whole, in the type's range, not -0",
      TEXT: "decimal digits, in the type's range",
      BLOB: NO,
    },
  },
  boolean: {
    title: "Boolean",
    types: ["bool"],
    cells: {
      number: INTEGER,
      real: INTEGER,
      text: TEXT,
      none: INTEGER,
      strict_integer: INTEGER,
      strict_real: INTEGER,
      strict_text: TEXT,
      strict_blob: REFUSED,
    },
    fromSqlite: {
      INTEGER: "0 and 1",
      REAL: "0.0 and 1.0",
      TEXT: "what Postgres reads: t, true, y, yes, on, 1, f, false, n, no, off, 0",
      BLOB: NO,
    },
  },
  float: {
    title: "Floating point",
    types: ["float4", "float8"],
    cells: {
      number: { as: "REAL", except: "-0 (SQLite drops the sign)" },
      real: { as: "REAL", except: "-0 (SQLite drops the sign)" },
      text: TEXT,
      none: REAL,
      strict_integer: { as: "REAL", except: "fractions, values of 2^63 and beyond, infinities, NaN, -0" },
      strict_real: { as: "REAL", except: "NaN (SQLite has none), -0 (SQLite drops the sign)" },
      strict_text: TEXT,
      strict_blob: REFUSED,
    },
    fromSqlite: {
      INTEGER: "that a float of the type holds",
      REAL: "float8: all. float4: where Postgres prints the very same number, e.g. 0.1",
      TEXT: "a decimal number that the float prints as, NaN, Infinity, -Infinity",
      BLOB: NO,
    },
  },
  numeric: {
    title: "Numeric",
    types: ["numeric"],
    cells: {
      number: {
        as: "REAL",
        except:
          "numbers that do not read back digit for digit: more than about 15 digits with a fraction, trailing zeros beyond the declared scale",
      },
      real: {
        as: "REAL",
        except: "numbers that do not read back digit for digit: more than about 15 digits, trailing zeros beyond the declared scale",
      },
      text: TEXT,
      none: TEXT,
      strict_integer: { as: "INTEGER", except: "fractions, numbers beyond 64 bits, infinities, NaN" },
      strict_real: { as: "REAL", except: "numbers that do not read back digit for digit, NaN" },
      strict_text: TEXT,
      strict_blob: REFUSED,
    },
    fromSqlite: {
      INTEGER: "that fits precision and scale",
      REAL: "as its shortest decimal, where that fits precision and scale; -0 is refused",
      TEXT: "a decimal number that fits precision and scale, NaN, Infinity, -Infinity",
      BLOB: NO,
    },
  },
  bytes: {
    title: "Bytes",
    types: ["bytea"],
    cells: {
      number: BLOB,
      real: BLOB,
      text: BLOB,
      none: BLOB,
      strict_integer: REFUSED,
      strict_real: REFUSED,
      strict_text: REFUSED,
      strict_blob: BLOB,
    },
    fromSqlite: { INTEGER: NO, REAL: NO, TEXT: NO, BLOB: "all" },
  },
  text: {
    title: "Text and JSON",
    types: ["text", "varchar", "bpchar", "citext", "name", "json", "jsonb"],
    cells: textExcept(
      "text that looks like a number to SQLite, unless the number prints as the very same text (7 and 1.5 travel, 007 and 1.50 do not)",
    ),
    fromSqlite: {
      INTEGER: "from a column of numeric affinity",
      REAL: "from a column of numeric affinity, where its decimal needs no exponent; -0 is refused",
      TEXT: "all but U+0000 and what is no valid Unicode, or is longer than the type",
      BLOB: NO,
    },
  },
  printed: {
    title: "Types whose text never looks like a number",
    types: [
      ...["date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "money", "inet", "cidr", "macaddr", "macaddr8"],
      ...[
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "tsvector",
        "tsquery",
        "pg_lsn",
        "pg_snapshot",
        "txid_snapshot",
        "hstore",
        "tid",
      ],
      ...["int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"],
      ...["int4multirange", "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange"],
    ],
    cells: textExcept(),
    fromSqlite: { INTEGER: NO, REAL: NO, TEXT: "what the type reads, without rounding and without words such as `now`", BLOB: NO },
  },
  other: {
    title: "Everything else",
    types: [],
    cells: textExcept("text that looks like a number to SQLite"),
    fromSqlite: { INTEGER: NO, REAL: NO, TEXT: "what the type reads", BLOB: NO },
  },
};
