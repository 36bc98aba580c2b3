import type { Column } from "../shape.ts";
import { type Family, MAPPING } from "./mapping.ts";

/** A Postgres type as far as its values' text depends on it. */
export interface PostgresType {
  readonly family: Family;
  /** `pg_type.typname` below all domains, e.g. `int8`, `_text`. */
  readonly base: string;
  /** The base without the leading underscore of an array. */
  readonly element: string;
  readonly array: boolean;
  /**
   * The first and second number in parentheses: length, precision, fraction digits; precision and scale. Undefined without
   * them, and for domains, whose modifiers `format_type` does not show.
   */
  readonly modifiers: readonly number[];
}

/** `format_type()` to `typname`, where they differ. */
const TYPE_NAMES: { readonly [name: string]: string } = {
  smallint: "int2",
  integer: "int4",
  bigint: "int8",
  boolean: "bool",
  real: "float4",
  "double precision": "float8",
  decimal: "numeric",
  "character varying": "varchar",
  character: "bpchar",
  "bit varying": "varbit",
  "time without time zone": "time",
  "time with time zone": "timetz",
  "timestamp without time zone": "timestamp",
  "timestamp with time zone": "timestamptz",
};
const SHOWN_NAMES = new Map(Object.entries(TYPE_NAMES).map(([shown, name]) => [name, shown]));

const FAMILY_OF = new Map(Object.entries(MAPPING).flatMap(([family, { types }]) => types.map((type) => [type, family as Family] as const)));

const MODIFIERS = /\((-?\d+)(?:,(-?\d+))?\)/;

export function postgresType(column: Column): PostgresType {
  const shown = column.type.replace(/(?:\[\])+$/, "");
  const name = shown.replace(MODIFIERS, "").replace(/^interval .*/, "interval");
  const isArray = shown !== column.type;
  const base = column.base ?? (isArray ? "_" : "") + (TYPE_NAMES[name] ?? name);
  const array = isArray || base.startsWith("_");
  const element = array ? base.replace(/^_/, "") : base;
  // a domain's own name says nothing about modifiers
  const found = name === element || name === SHOWN_NAMES.get(element) ? MODIFIERS.exec(shown) : null;
  const modifiers = found === null ? [] : [found[1], found[2]].filter((text) => text !== undefined).map(Number);
  // an array's text is in braces whatever its element
  return { family: array ? "printed" : (FAMILY_OF.get(base) ?? "other"), base, element, array, modifiers };
}

/** Digits after the point that a numeric prints; undefined when unconstrained. Below 0 where digits before the point are rounded. */
export const scaleOf = (type: PostgresType): number | undefined => (type.modifiers.length === 0 ? undefined : (type.modifiers[1] ?? 0));
