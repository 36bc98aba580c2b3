import Database from "better-sqlite3";
import { BULKS, type Writer } from "./protocol.ts";
import { ADD_ONE, SQLITE_BULK } from "./sqlite-bulk.ts";

/** One connection as an application would open it: WAL, synchronous=NORMAL. SQLite has one writer at a time anyway. */
export function sqliteWriter(path: string): Writer {
  const database = new Database(path, { timeout: 30_000 });
  database.pragma("synchronous = normal");
  const bulks = new Map(BULKS.map((bulk) => [bulk, SQLITE_BULK[bulk].map((text) => database.prepare(text))]));
  const updateOne = database.prepare(`update bench set ${ADD_ONE}, note = 'pass ' || :pass || ' over ' || id where id = :id`);
  const mark = database.prepare("update bench set note = :token where id = :id");
  const firstMark = database.prepare(
    "insert into bench (id, customer, amount, at, note) values (:id, 'marker', '0.50', '2026-01-01 00:00:00+00', :token)",
  );
  const write = database.transaction((statements: readonly Database.Statement[], values: object) =>
    statements.reduce((changes, statement) => changes + statement.run(values).changes, 0),
  );
  const bulk: Writer["bulk"] = async (name, from, rows, pass) =>
    // immediate: a reader that becomes a writer is refused at once when another has written meanwhile
    write.immediate(bulks.get(name)!, { first: BigInt(from), last: BigInt(from + rows - 1), pass: BigInt(pass) });
  return {
    connections: 1,
    bulk,
    updateOne: async (id, pass) => void updateOne.run({ id: BigInt(id), pass: BigInt(pass) }),
    insertOne: async (id) => void (await bulk("insert", id, 1, 0)),
    durable: async (on) => void database.pragma(`synchronous = ${on ? "full" : "normal"}`),
    mark: async (id, token) => {
      if (mark.run({ id, token }).changes === 0) firstMark.run({ id, token });
    },
  };
}
