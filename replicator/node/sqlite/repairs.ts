import type { NodeName } from "../../change/names.ts";
import { parseRow, type RowText } from "../../change/value.ts";
import type { DigestTable, KeyText } from "../digest.ts";
import type { DiscardedVersion, OfferedRow, RepairedBy, Repairs } from "../repairs.ts";
import { type CapturedTable, capturedTable } from "./captured-tables.ts";
import { type Clock, isoOfMicroseconds, isoTime } from "./clock.ts";
import { changesSince } from "./concurrent-changes.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { DigestColumns } from "./digest-columns.ts";
import { historyJson } from "./history.ts";
import { readPeer } from "./peers.ts";
import { putRefresh } from "./refresh.ts";
import { type Bindable, boundValue, findRow, keyImage, prepared, stored } from "./rows.ts";
import { readTable } from "./shape.ts";

const RECORD = `
  insert into tombolo_conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, result_row,
      child_node, parent_changed_at, child_changed_at, detected_at, status, resolved_by, resolved_at)
  values (?, ?, ?, 'reconcile', ?, ?, ?, ?, ?, ?, ?, ?, :now, 'resolved', ?, :now)`;
const OFFER = "insert into tombolo_change (table_id, op, key, old, new, origin, target, changed_at) values (?, ?, ?, ?, ?, null, ?, ?)";

/** A table of this file, with the terms in which it is compared. */
interface ComparedHere {
  readonly table: CapturedTable;
  readonly columns: DigestColumns;
}

/** How a SQLite node's rows are brought together with a neighbour's. */
export class SqliteRepairs implements Repairs {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async overrule(
    rows: readonly { readonly table: DigestTable; readonly key: KeyText }[],
    discarded: readonly DiscardedVersion[],
    by: RepairedBy,
  ): Promise<void> {
    await this.#file.write((connection) => {
      const { id: peer } = readPeer(connection, by.child);
      this.#record(connection, discarded, by);
      const at = isoTime(this.#clock());
      for (const { table, key } of rows) {
        const here = this.#here(connection, table);
        putRefresh(connection, { table: here.table, key: ownKey(here, key), peer, at });
      }
    });
  }

  async record(discarded: readonly DiscardedVersion[], by: RepairedBy): Promise<void> {
    await this.#file.write((connection) => this.#record(connection, discarded, by));
  }

  async offer(parent: NodeName, rows: readonly OfferedRow[]): Promise<void> {
    await this.#file.write((connection) => {
      const { id: peer } = readPeer(connection, parent);
      const now = isoTime(this.#clock());
      for (const { table: wanted, key, expected, changedAt } of rows) {
        const here = this.#here(connection, wanted);
        const found = findRow(connection, here.table, ownKey(here, key));
        if (found === undefined) continue;
        const before = expected === null ? null : imageOfTexts(connection, here, expected);
        if (before === found.image) continue;
        const op = before === null ? "I" : "U";
        prepared(connection, OFFER).run(here.table.id, op, found.key, before, found.image, peer, isoOfMicroseconds(changedAt) ?? now);
      }
    });
  }

  async lastChanged(wanted: DigestTable, keys: readonly RowText[]): Promise<readonly (number | null)[]> {
    return this.#file.read((connection) => {
      const { table } = this.#here(connection, wanted);
      return keys.map((text) => {
        const row = parseRow(text);
        const key = keyImage(
          connection,
          table,
          table.key.map((name) => stored(row[name] ?? null)),
        );
        const entries = changesSince(connection, { tableId: table.id, key, position: null, exceptFrom: -1 });
        return entries.find(({ op }) => op !== "H")?.changedAt ?? null;
      });
    });
  }

  #record(connection: Connection, discarded: readonly DiscardedVersion[], { child, who, reason }: RepairedBy): void {
    const now = isoTime(this.#clock());
    for (const { table, key, kind, resolution, parentRow, childRow, parentChangedAt, childChangedAt } of discarded) {
      const here = this.#here(connection, table);
      const keyRow = Object.fromEntries(here.table.key.map((name, at) => [name, boundValue(ownKey(here, key)[at] ?? null)]));
      const result = historyJson(resolution === "parent" ? parentRow : childRow);
      prepared(connection, RECORD).run(
        table.table,
        historyJson(keyRow),
        kind,
        resolution,
        reason,
        historyJson(parentRow),
        historyJson(childRow),
        result,
        child,
        isoOfMicroseconds(parentChangedAt),
        isoOfMicroseconds(childChangedAt),
        who,
        { now },
      );
    }
  }

  #here(connection: Connection, wanted: DigestTable): ComparedHere {
    const table = capturedTable(connection, wanted.table, this.#file.node);
    return { table, columns: new DigestColumns(table, wanted, readTable(connection, table.local)?.strict ?? false) };
  }
}

/** The key's values in the order of the table's own key. */
function ownKey({ table, columns }: ComparedHere, key: KeyText): Bindable[] {
  const values = columns.keyValues(key);
  const names = columns.key.map((place) => columns.columns[place]?.name);
  return table.key.map((name) => values[names.indexOf(name)] ?? null);
}

/** The image of a row that is told by its canonical texts. */
function imageOfTexts(connection: Connection, { table, columns }: ComparedHere, texts: readonly (string | null)[]): string {
  const values = new Map(columns.columns.map((column, at) => [column.name, column.value(texts[at] ?? null)]));
  const all = table.columns.map(({ name }) => name);
  return keyImage(
    connection,
    { ...table, key: all },
    all.map((name) => values.get(name) ?? null),
  );
}
