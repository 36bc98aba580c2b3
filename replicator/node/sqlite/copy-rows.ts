import type { Column } from "../../change/shape.ts";
import type { Row } from "../../change/value.ts";
import type { ApplySession } from "./apply-session.ts";
import { imageOf, keyColumns } from "./capture.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { isoTime } from "./clock.ts";
import { STAGE } from "./copy-compare.ts";
import type { StagedTable } from "./copy-table.ts";
import { quote } from "./identifier.ts";
import { type Image, imageOfBytes, imageToRow } from "./image.ts";

/** Rows looked at together. */
const PAGE = 1000;

/** A row as it is in the table, as it is staged, or both. */
export interface RowImages {
  readonly key: Image;
  readonly here: Image | null;
  readonly staged: Image | null;
}

/** Rows of one table of a hand-over, told page by page while earlier ones are being changed. */
export class RowsOf {
  readonly table: CapturedTable;
  /** Those that are copied. */
  readonly columns: readonly Column[];
  readonly at: string;
  readonly #session: ApplySession;
  readonly #relation: string;

  constructor(session: ApplySession, { table, relation, columns }: StagedTable) {
    this.table = table;
    this.columns = columns.map(({ name }) => table.columns.find((column) => column.name === name) as Column);
    this.at = isoTime(session.clock());
    this.#session = session;
    this.#relation = relation;
  }

  /** `from`: the FROM and WHERE that choose the rows, over `s`, `t` or both. They are collected before the first page is told. */
  *pages(which: "both" | "staged" | "here", from: string, values: readonly string[]): Generator<readonly RowImages[]> {
    const { connection } = this.#session;
    const keys = this.table.key.map((name, at) => ({ name: quote(name), as: `k${at}` }));
    const named = keys.map(({ as }) => as).join(", ");
    const rows = quote(`tombolo_rows_${which}_${this.#relation}`);
    connection.exec(`drop table if exists temp.${rows}; create temp table ${rows} (id integer primary key, staged integer, ${named})`);
    const picked = [which === "here" ? "null" : "s.tombolo_row", ...keys.map(({ name }) => `${which === "staged" ? "s" : "t"}.${name}`)];
    connection.prepare(`insert into temp.${rows} (staged, ${named}) select ${picked.join(", ")} ${from}`).run(...values);
    const local = `main.${quote(this.table.local)} as t on ${keys.map(({ name, as }) => `t.${name} = k.${as}`).join(" and ")}`;
    const staged = `${STAGE}.${this.#relation} as s on s.tombolo_row = k.staged`;
    const joins = { both: `cross join ${local} cross join ${staged}`, staged: `cross join ${staged}`, here: `cross join ${local}` }[which];
    const blob = (columns: readonly Column[], row: string): string => `cast(${imageOf(columns, row)} as blob)`;
    const select = connection.prepare(
      `select k.id, ${blob(keyColumns(this.table), which === "staged" ? "s" : "t")}, ${which === "staged" ? "null" : blob(this.columns, "t")},
              ${which === "here" ? "null" : blob(this.columns, "s")}
         from temp.${rows} as k ${joins} where k.id > ? order by k.id limit ${PAGE}`,
    );
    for (let after = 0n; ; ) {
      const page = select.raw().all(after) as [bigint, Buffer, Buffer | null, Buffer | null][];
      if (page.length === 0) break;
      after = page.at(-1)?.[0] ?? after;
      yield page.map(([, key, here, there]) => ({ key: imageOfBytes(key), here: imageOr(here), staged: imageOr(there) }));
    }
    connection.exec(`drop table temp.${rows}`);
  }

  /** For the history. */
  told({ key, here, staged }: RowImages): { table: CapturedTable; key: Row; here: Row; staged: Row | null } {
    return {
      table: this.table,
      key: imageToRow(key, keyColumns(this.table)),
      here: imageToRow(here as Image, this.columns),
      staged: staged === null ? null : imageToRow(staged, this.columns),
    };
  }
}

const imageOr = (bytes: Buffer | null): Image | null => (bytes === null ? null : imageOfBytes(bytes));
