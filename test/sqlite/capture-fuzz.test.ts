import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { type Position, START, tableName } from "../../replicator/change/names.ts";
import { parseRow, type Row, rowText, sameValue } from "../../replicator/change/value.ts";
import { collect, readAll, type TestDatabase, withDatabase } from "./database.ts";

const TABLES = ["item", "tag", "note"];

/**
 * Several unique keys, one of them partial, one over an expression, one that ignores case; a text key in a table without rowid; cascades;
 * triggers of the application that write to the very row, to other rows of the table and to other tables.
 */
const SCHEMA = `
  create table item (id integer primary key, code text unique, slot integer, name text, n integer not null default 0, u text collate nocase unique);
  create unique index item_slot on item (slot) where n < 50;
  create unique index item_name on item (lower(name) desc, slot);
  create table tag (a text not null, b integer not null, item integer references item on update cascade on delete cascade, v, primary key (a, b)) without rowid;
  create unique index tag_v on tag (v);
  create table note (k text not null unique on conflict replace, body) ;
  create trigger item_counts after insert on item when new.n = 1 begin update item set n = n + 1 where id = new.id; end;
  create trigger item_touches after update of code on item begin update item set n = n + 1 where id = new.id; end;
  create trigger item_pushes before insert on item when new.n = 2 begin update item set slot = slot + 100 where slot = new.slot; end;
  create trigger item_notes after delete on item begin insert or ignore into note values ('deleted ' || old.id, old.name); end;
  create trigger tag_removes after insert on tag when new.b = 3 begin delete from tag where a = new.a and b = 2; end;
`;

const small = fc.integer({ min: 1, max: 4 });
const or = fc.constantFrom("", "or replace", "or ignore", "or fail", "or abort", "or rollback");
const value = fc.constantFrom("null", "1", "1.0", "'1'", "x'31'", "'a'", "'A'", "9e999");
const statement = fc.oneof(
  fc
    .tuple(
      or,
      fc.option(small),
      fc.option(small),
      small,
      fc.constantFrom("'x'", "'X'", "'y'", "null"),
      small,
      fc.constantFrom("'q'", "'Q'", "null"),
    )
    .map(
      ([clause, id, code, slot, name, n, u]) =>
        `insert ${clause} into item values (${id}, ${code && `'c${code}'`}, ${slot}, ${name}, ${n}, ${u})`,
    ),
  fc.tuple(or, small, small).map(([clause, id, to]) => `update ${clause} item set id = ${to} where id = ${id}`),
  fc.tuple(or, small, small).map(([clause, id, to]) => `update ${clause} item set code = 'c${to}', n = n where id = ${id}`),
  fc.tuple(or, small).map(([clause, slot]) => `update ${clause} item set slot = ${slot}, name = 'z' where id > 1`),
  fc
    .tuple(small, small)
    .map(([id, code]) => `insert into item (id, code) values (${id}, 'c${code}') on conflict (code) do update set n = n + 10`),
  fc.tuple(small, small).map(([id, code]) => `insert into item (id, code) values (${id}, 'c${code}') on conflict do nothing`),
  small.map((id) => `delete from item where id = ${id}`),
  fc
    .tuple(or, small, small, fc.option(small), value)
    .map(([clause, a, b, item, v]) => `insert ${clause} into tag values ('t${a}', ${b}, ${item}, ${v})`),
  fc.tuple(or, small, small, value).map(([clause, a, b, v]) => `update ${clause} tag set b = ${b}, v = ${v} where a = 't${a}'`),
  fc.tuple(or, small, small).map(([clause, a, b]) => `update ${clause} tag set a = 't${b}' where a = 't${a}'`),
  small.map((a) => `delete from tag where a = 't${a}'`),
  fc.tuple(small, value).map(([k, v]) => `insert into note values ('k${k}', ${v})`),
  fc.tuple(small, small).map(([row, k]) => `insert or replace into note (rowid, k) values (${row}, 'k${k}')`),
  fc.tuple(small, small).map(([k, to]) => `update note set k = 'k${to}' where k = 'k${k}'`),
  fc.constant("delete from note"),
);
const transaction = fc.record({
  statements: fc.array(statement, { minLength: 1, maxLength: 6 }),
  rolledBack: fc.boolean(),
  read: fc.boolean(),
});

type Model = Map<string, Row>;
const idOf = (change: Change): string => `${change.table} ${change.key}`;

/** Replays strictly: every change must find what it says it found. */
function replay(model: Model, changes: readonly Change[]): void {
  for (const change of changes) {
    const id = idOf(change);
    const row = model.get(id);
    const says = JSON.stringify(change);
    if (change.op === "I") {
      expect(row, says).toBeUndefined();
      model.set(id, parseRow(change.new ?? ""));
    } else if (change.op === "U") {
      expect(row, says).toBeDefined();
      const old = parseRow(change.old ?? "");
      for (const name in old) expect(sameValue(old[name], row?.[name]), says).toBe(true);
      model.set(id, { ...row, ...parseRow(change.new ?? "") });
    } else {
      // a row that came and went is sent as a delete
      if (row !== undefined) expect(rowText(row), says).toBe(change.old);
      model.delete(id);
    }
  }
}

const asText = (model: Model): string[] => [...model].map(([id, row]) => `${id} ${rowText(row)}`).sort();

async function tableRows(database: TestDatabase): Promise<string[]> {
  const snapshot = await database.node.tables.open(TABLES.map(tableName));
  const rows = await collect(snapshot.rows(100, 1 << 20));
  await snapshot.close();
  return rows.map((change) => `${idOf(change)} ${change.new}`).sort();
}

test.each([
  { foreignKeys: "off", recursive: "off" },
  { foreignKeys: "on", recursive: "off" },
  { foreignKeys: "on", recursive: "on" },
])(
  "what is read, cut anywhere, replays to the very rows of the tables (foreign keys $foreignKeys, recursive triggers $recursive)",
  async ({ foreignKeys, recursive }) => {
    await withDatabase(SCHEMA, TABLES, async (database) => {
      const { application, node } = database;
      application.pragma(`foreign_keys = ${foreignKeys}`);
      application.pragma(`recursive_triggers = ${recursive}`);
      const model: Model = new Map();
      let after: Position = START;
      await fc.assert(
        fc.asyncProperty(fc.array(transaction, { minLength: 1, maxLength: 8 }), async (transactions) => {
          application.exec("pragma foreign_keys = off; delete from tag; delete from item; delete from note");
          application.pragma(`foreign_keys = ${foreignKeys}`);
          model.clear();
          after = (await node.log.tick()).position;
          // cuts that are read only later, when the log has gone on
          const cuts: { position: Position; rows: string[] }[] = [];
          for (const { statements, rolledBack, read } of transactions) {
            application.exec("begin");
            for (const sql of statements) {
              try {
                application.exec(sql);
              } catch (error) {
                expect(String(error)).toMatch(/constraint/i);
              }
              if (!application.inTransaction) application.exec("begin");
            }
            try {
              application.exec(rolledBack ? "rollback" : "commit");
            } catch {
              application.exec("rollback");
            }
            if (read) cuts.push({ position: (await node.log.tick()).position, rows: await tableRows(database) });
          }
          cuts.push({ position: (await node.log.tick()).position, rows: await tableRows(database) });
          for (const cut of cuts) {
            const { changes } = await readCut(database, after, cut.position);
            replay(model, changes);
            after = cut.position;
            expect(asText(model)).toEqual(cut.rows);
          }
        }),
        { numRuns: 150 },
      );
    });
  },
);

async function readCut(database: TestDatabase, after: Position, upTo: Position): Promise<{ changes: Change[] }> {
  const request = { reader: "hub" as never, tables: TABLES.map(tableName), after, upTo, maxRows: 5, maxBytes: 10_000 };
  return { changes: await collect(database.node.log.read(request)) };
}

test("statements that change nothing send nothing, however many there are", async () => {
  await withDatabase(SCHEMA, TABLES, async ({ application, node }) => {
    application.exec("insert into item (id, code) values (1, 'c1')");
    const { position } = await readAll(node, TABLES);
    for (let i = 0; i < 200; i++) {
      application.exec("insert or ignore into item (id, code) values (1, 'c1'); insert into item (id) values (1) on conflict do nothing");
      application.exec("update item set code = code; update item set n = n, slot = null");
    }
    const { changes } = await readAll(node, TABLES, { after: position });
    // the application's trigger counts assignments to code: those are changes
    expect(changes.every(({ new: row }) => Object.keys(parseRow(row ?? "")).join() === "n")).toBe(true);
  });
});
