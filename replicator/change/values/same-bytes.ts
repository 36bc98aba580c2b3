import type { Column } from "../shape.ts";

/** Types whose values are sent in the same bytes by every version of Postgres from 13 on; what the server prints is read by all, only slower. */
const SAME_BYTES = new Set([
  ...["bool", "int2", "int4", "int8", "float4", "float8", "numeric", "uuid", "bytea"],
  ...["text", "varchar", "bpchar", "json", "date", "time", "timestamp", "timestamptz"],
]);

/** Whether two columns, each of a Postgres, are of one type, and of one whose bytes are known. */
export const sameBytes = ({ base, type }: Column, other: Column | undefined): boolean =>
  base !== undefined && SAME_BYTES.has(base) && other?.base === base && other.type === type;
