import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { DatabaseFile } from "../../replicator/node/sqlite/connection.ts";
import { LOG_OF_KEY, logKeys } from "../../replicator/node/sqlite/log-keys.ts";

const SCHEMA = `
  create table tombolo_node (epoch text not null);
  insert into tombolo_node values ('first');
  create table tombolo_change (seq integer primary key, table_id integer not null, key text not null)`;

type Step =
  | { readonly do: "write" | "own" | "undone"; readonly key: number }
  | { readonly do: "purge"; readonly keep: number }
  | { readonly do: "look" | "reinstall" };

const key = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("write" as const, "own" as const, "undone" as const), key }),
  fc.record({ do: fc.constant("purge" as const), keep: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constantFrom("look" as const, "look" as const, "reinstall" as const) }),
);

test("what is found by key is what the log holds, whatever was written, taken back, purged or installed anew", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-keys-"));
  const path = join(folder, "log.db");
  const application = new Database(path);
  application.pragma("journal_mode = wal");
  application.exec(SCHEMA);
  const file = new DatabaseFile({ node: nodeName("store"), path });
  let epochs = 0;
  const check = (): void =>
    file.read((connection) => {
      for (const wanted of ["1", "2", "3"]) {
        logKeys(connection);
        const found = connection.prepare(`select c.seq from ${LOG_OF_KEY} order by k.seq`).pluck().all(wanted, 7, 0n);
        expect(found).toEqual(connection.prepare("select seq from tombolo_change where key = ? order by seq").pluck().all(wanted));
      }
    });
  const reinstall = (): void => {
    application.exec("delete from tombolo_change");
    application.prepare("update tombolo_node set epoch = ?").run(`epoch ${epochs++}`);
  };
  const add = "insert into tombolo_change (table_id, key) values (7, ?)";
  const run = async (each: Step): Promise<void> => {
    if ("keep" in each) {
      application.prepare("delete from tombolo_change where seq <= (select max(seq) from tombolo_change) - ?").run(each.keep);
    } else if (!("key" in each)) {
      if (each.do === "look") check();
      else reinstall();
    } else if (each.do === "write") application.prepare(add).run(String(each.key));
    else {
      const work = file.write((connection) => {
        connection.prepare(add).run(String(each.key));
        logKeys(connection);
        const seqs = connection.prepare(`select c.seq from ${LOG_OF_KEY}`).pluck().all(String(each.key), 7, 0n);
        expect(seqs).toContain(connection.prepare("select max(seq) from tombolo_change").pluck().get());
        if (each.do === "undone") throw new Error("undone");
      });
      if (each.do === "undone") await expect(work).rejects.toThrow("undone");
      else await work;
    }
  };
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        reinstall();
        for (const each of steps) await run(each);
        check();
      }),
      { numRuns: 60 },
    );
    // what was purged does not stay in the index for good
    for (let round = 0; round < 10; round++) {
      application.exec("insert into tombolo_change (table_id, key) values (7, '1'), (7, '2'), (7, '3')");
      check();
      application.exec("delete from tombolo_change where seq < (select max(seq) from tombolo_change)");
    }
    check();
    const left = file.read((connection) => connection.prepare("select count(*) from temp.tombolo_log_key").pluck().get());
    expect(Number(left)).toBeLessThan(10);
  } finally {
    application.close();
    await file.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
