import { createHash } from "node:crypto";
import Database from "better-sqlite3";
import type { Digest, Store } from "./store.ts";
import { comparable, readList, TABLES, type TableName } from "./tables.ts";

export class SqliteStore implements Store {
  readonly engine = "sqlite";
  readonly location: string;
  readonly #database: Database.Database;
  readonly #marker: Database.Statement;
  readonly #after: Database.Statement;

  constructor(path: string) {
    this.location = path;
    this.#database = new Database(path, { readonly: true });
    this.#marker = this.#database.prepare("select note from bench where id = ?").pluck();
    this.#after = this.#database.prepare("select id from bench where id > ? order by id").pluck();
  }

  async marker(id: number): Promise<string | null> {
    return (this.#marker.get(id) as string | undefined) ?? null;
  }

  async idsAfter(id: number): Promise<readonly number[]> {
    return this.#after.all(id) as number[];
  }

  async digest(name: TableName): Promise<Digest> {
    const table = TABLES[name];
    const hash = createHash("sha256");
    const statement = this.#database.prepare(`select ${readList(table, "sqlite")} from ${name} order by id`).raw();
    let rows = 0;
    for (const row of statement.iterate() as IterableIterator<unknown[]>) {
      hash.update(comparable(table, "sqlite", row));
      rows++;
    }
    return { rows, sha256: hash.digest("hex") };
  }

  /** Pages of tables and indexes whose names match a GLOB pattern. */
  bytesOf(pattern: string): number {
    return this.#database.prepare("select coalesce(sum(pgsize), 0) from dbstat where name glob ?").pluck().get(pattern) as number;
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}
