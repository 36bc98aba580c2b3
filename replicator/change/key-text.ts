import type { Engine } from "./shape.ts";
import type { Row, RowText, Value } from "./value.ts";
import { rowText } from "./value.ts";

/** A key as a node with the engine reads it in what its peer asks for. A Postgres knows texts only. */
export const keyFor = (engine: Engine, key: Row): RowText =>
  rowText(engine === "sqlite" ? key : Object.fromEntries(Object.entries(key).map(([name, value]) => [name, textOf(value)])));

function textOf(value: Value): string | null {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return value.i;
  return "r" in value ? value.r : `\\x${value.b}`;
}
