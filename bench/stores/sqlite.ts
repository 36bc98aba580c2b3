import { createHash } from "node:crypto";
import Database from "better-sqlite3";
import { type Digest, MARKER_ID, type Store } from "./store.ts";

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

  async marker(): Promise<string | null> {
    return (this.#marker.get(MARKER_ID) as string | undefined) ?? null;
  }

  async idsAfter(id: number): Promise<readonly number[]> {
    return this.#after.all(id) as number[];
  }

  async digest(): Promise<Digest> {
    const hash = createHash("sha256");
    const statement = this.#database.prepare("select id, customer, amount, at, note from bench order by id").raw();
    let rows = 0;
    for (const row of statement.iterate() as IterableIterator<[number, string, string, string, string]>) {
      const [id, customer, amount, at, note] = row;
      hash.update(`${[id, customer, amount, milliseconds(at), note].join("\u001f")}\n`);
      rows++;
    }
    return { rows, sha256: hash.digest("hex") };
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}

/** Of a time as Postgres prints it in UTC, `2026-01-02 03:04:05.678+00`. */
const milliseconds = (at: string): number => Date.parse(at.replace(/^(\S+) (\S+?)\+00$/, "$1T$2Z"));
