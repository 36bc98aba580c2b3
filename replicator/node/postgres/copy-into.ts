import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { from } from "pg-copy-streams";
import { type CopyRows, copyField, copyFields, copyLines, taggedValue } from "../../change/copy-text.ts";
import { TomboloError } from "../../change/error.ts";
import type { Column } from "../../change/shape.ts";
import type { Value } from "../../change/value.ts";
import { compileKeyToPostgres } from "../../change/values/key.ts";
import { sameBytes } from "../../change/values/same-bytes.ts";
import { compileToPostgres } from "../../change/values/to-postgres.ts";
import type { CopiedTable, CopyForm } from "../full-copy.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ident } from "./identifier.ts";

/** The columns here of what is copied. Throws `COLUMN_MISSING` (operator). */
export function columnsHere({ shape }: CopiedTable, table: CapturedTable): Column[] {
  return shape.columns.map(({ name }) => {
    const found =
      table.columns.find((column) => column.name === name) ??
      (shape.engine === "sqlite" ? table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase()) : undefined);
    if (found !== undefined) return found;
    throw new TomboloError(`table ${table.name} has no column ${name} here`, {
      code: "COLUMN_MISSING",
      kind: "operator",
      hint: "add the column here, or exclude it on both sides",
    });
  });
}

/** In binary where every column is of the same type on both sides, one whose bytes are known. `columns`: as `columnsHere` answers them. */
export function formFor({ shape }: CopiedTable, columns: readonly Column[]): CopyForm {
  return shape.engine === "postgres" && shape.columns.every((column, at) => sameBytes(column, columns[at])) ? "binary" : "text";
}

/** Copies rows, or keys, of a full sync into a relation. Bytes of another Postgres pass unread; what a SQLite sends is converted. Answers what came. */
export async function copyInto(
  client: pg.ClientBase,
  { copied, table }: { readonly copied: CopiedTable; readonly table: CapturedTable },
  copy: { readonly relation: string; readonly columns: readonly Column[]; readonly rows: CopyRows; readonly form?: CopyForm },
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const { relation, columns, form = "text" } = copy;
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const piece of copy.rows) {
      bytes += piece.length;
      yield piece;
    }
  }
  const rows = copied.shape.engine === "postgres" ? counted() : converted(copied, table, { columns, rows: counted() });
  const stream = client.query(from(`copy ${relation} (${columns.map(({ name }) => ident(name)).join(", ")}) from stdin (format ${form})`));
  await pipeline(Readable.from(rows, { objectMode: false, highWaterMark: 1 << 18 }), stream);
  return { rows: stream.rowCount, bytes };
}

type Convert = (value: Value) => string | null;

function converterOf({ shape }: CopiedTable, table: CapturedTable, here: Column): Convert {
  const there = shape.columns.find(({ name }) => name.toLowerCase() === here.name.toLowerCase()) as Column;
  const compile = table.key.includes(here.name) ? compileKeyToPostgres : compileToPostgres;
  return compile(there, shape.engine, here);
}

/** Lines of a SQLite as lines of this Postgres. Throws `VALUE_REFUSED` (operator) for a value that has no exact form here. */
async function* converted(
  copied: CopiedTable,
  table: CapturedTable,
  { columns, rows }: { readonly columns: readonly Column[]; readonly rows: CopyRows },
): AsyncGenerator<Buffer> {
  const convert = columns.map((column) => converterOf(copied, table, column));
  for await (const lines of copyLines(rows)) {
    let text = "";
    for (const line of lines) {
      const fields = copyFields(line);
      for (let at = 0; at < convert.length; at++) {
        if (at > 0) text += "\t";
        text += copyField((convert[at] as Convert)(taggedValue(fields[at] ?? null)));
      }
      text += "\n";
    }
    yield Buffer.from(text, "utf8");
  }
}
