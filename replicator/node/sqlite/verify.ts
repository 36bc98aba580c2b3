import type { Drift } from "../installation.ts";
import { captureTriggers } from "./capture.ts";
import { fingerprint, hasYoungerTriggers, ourTriggers, shapeHash, storedSql } from "./capture-plan.ts";
import { type CapturedTable, capturedTables } from "./captured-tables.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { quote } from "./identifier.ts";
import { readTable } from "./shape.ts";

/**
 * Compares captured tables with what was installed. SQLite counts every change of the schema, so that nothing needs to be looked at
 * while that number stands still.
 */
export class Verifier {
  readonly #file: DatabaseFile;
  #version: bigint | undefined;
  #drifts: readonly Drift[] = [];

  constructor(file: DatabaseFile) {
    this.#file = file;
  }

  async verify(): Promise<readonly Drift[]> {
    const version = this.#file.schemaVersion;
    if (version === this.#version) return this.#drifts;
    const found = this.#file.read(look);
    if (found.drifts.length > 0 || found.younger.length > 0) {
      await this.#file.write((connection) => {
        for (const drift of found.drifts) markHole(connection, drift);
        for (const table of found.younger) moveBehind(connection, table.local);
      });
    }
    this.#drifts = found.drifts;
    // what we have just changed ourselves is looked at once more, next time
    this.#version = version;
    return found.drifts;
  }
}

function look(connection: Connection): { drifts: Drift[]; younger: CapturedTable[] } {
  const drifts: Drift[] = [];
  const younger: CapturedTable[] = [];
  for (const table of capturedTables(connection).values()) {
    const drift = driftOf(connection, table);
    if (drift !== null) drifts.push(drift);
    else if (hasYoungerTriggers(connection, table.local)) younger.push(table);
  }
  return { drifts, younger };
}

function driftOf(connection: Connection, table: CapturedTable): Drift | null {
  const drift = (code: string, message: string): Drift => ({
    table: table.name,
    code,
    message: `${message}; changes made since may be missing from the log`,
    hint: "run `tombolo apply`, then compare the table",
  });
  const local = readTable(connection, table.local, table.excluded);
  if (local === null) return drift("TABLE_MISSING", `table ${table.local} is gone`);
  if (shapeHash(local) !== shapeHash(table))
    return drift("TABLE_CHANGED", `table ${table.local} has other columns or another key than when it was installed`);
  const needed = captureTriggers(table.id, local);
  const there = new Map(ourTriggers(connection, table.local).map(({ name, sql }) => [name, sql]));
  const missing = needed.filter(({ name }) => !there.has(name));
  if (missing.length > 0)
    return drift("TRIGGER_MISSING", `table ${table.local} has lost its triggers ${missing.map(({ name }) => name).join(", ")}`);
  if (needed.some(({ name, sql }) => there.get(name) !== storedSql(sql)) || fingerprint(local, needed) !== table.fingerprint) {
    return drift("CAPTURE_OUTDATED", `the triggers of table ${table.local} do not fit it any more, e.g. for a new unique index`);
  }
  return null;
}

function markHole(connection: Connection, drift: Drift): void {
  connection
    .prepare("update tombolo_captured_table set state = 'must_compare', reason = ? where table_name = ? and state <> 'must_compare'")
    .run(drift.message, drift.table);
}

/** Makes our triggers the youngest of the table again (see capture.ts); nothing goes unseen, as no one else writes meanwhile. */
export function moveBehind(connection: Connection, local: string): void {
  const triggers = connection
    .prepare(
      "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase and name like 'tombolo\\_capture\\_%' escape '\\' order by rowid",
    )
    .all(local) as { name: string; sql: string }[];
  for (const { name } of triggers) connection.exec(`drop trigger ${quote(name)}`);
  for (const { sql } of triggers) connection.exec(sql);
}
