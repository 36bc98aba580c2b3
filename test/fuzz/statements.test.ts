import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { type Position, START } from "../../replicator/change/names.ts";
import { parseRow, type Value } from "../../replicator/change/value.ts";
import { type Random, random } from "../helpers/random.ts";
import { dump, readAll, withDatabase } from "../sqlite/database.ts";
import { FUZZ } from "./counts.ts";

/** Statements per set of tables. */
const ROUND = 200;
const TYPES = ["integer", "text", "real", "numeric", "blob", "", "varchar(5)", "boolean", "datetime"];
const VALUES = [
  "null",
  "0",
  "1",
  "-1",
  "1.0",
  "1.5",
  "9223372036854775807",
  "9e999",
  "'1'",
  "'a'",
  "'A'",
  "'a '",
  "'é'",
  "x'00ff'",
  "x''",
  "''",
  "char(0)",
  "'x' || char(0) || 'y'",
];
const OR = ["", "", "or replace", "or ignore", "or fail", "or abort", "or rollback"];

/** A table's declaration, and the one of its copy, which has no rules but the key. */
interface Made {
  readonly name: string;
  readonly columns: readonly string[];
  readonly ddl: string;
  readonly copy: string;
}

function table(name: string, { int, pick, chance }: Random): Made {
  const columns = Array.from({ length: 1 + int(4) }, (_, at) => `c${at}`);
  const types = columns.map(() => pick(TYPES));
  const key = pick([
    "id integer primary key",
    "id integer primary key autoincrement",
    "id text not null primary key",
    "id not null primary key",
  ]);
  const refers = chance(0.3);
  // of the type of what it refers to: any other is refused (REFERENCE_TYPE)
  if (refers) types[0] = key.includes("integer") ? "integer" : key.includes("text") ? "text" : "";
  const rules = columns.map((column, at) => {
    const unique = chance(0.35) ? ` unique${chance(0.3) ? ` on conflict ${pick(["replace", "ignore", "abort"])}` : ""}` : "";
    return `${column} ${types[at]}${chance(0.2) ? " collate nocase" : ""}${unique}`;
  });
  const reference = refers ? `, foreign key (c0) references ${name} (id) on delete ${pick(["cascade", "set null"])} on update cascade` : "";
  const rowid = !key.includes("integer") && chance(0.4) ? " without rowid" : "";
  const index = chance(0.4)
    ? `; create unique index ${name}_u on ${name} (${pick(columns)}, lower(${pick(columns)}))${chance(0.5) ? " where c0 > 0" : ""}`
    : "";
  return {
    name,
    columns: ["id", ...columns],
    ddl: `create table ${name} (${key}, ${rules.join(", ")}${reference})${rowid}${index}`,
    copy: `create table ${name} (${key}, ${columns.map((column, at) => `${column} ${types[at]}`).join(", ")})${rowid}`,
  };
}

function statement(tables: readonly Made[], { int, pick, chance }: Random): string {
  const { name, columns } = pick(tables);
  const or = pick(OR);
  const value = (): string => pick(VALUES);
  const id = (): string => pick(["1", "2", "3", "4", "'5'", "null"]);
  const row = (): string => `(${columns.map((column) => (column === "id" ? id() : value())).join(", ")})`;
  const column = pick(columns.slice(1));
  const where = pick([`id = ${id()}`, `${column} is ${value()}`, "id > 1", "1", `rowid_of(id)`]).replace(
    "rowid_of(id)",
    "id in (1, 3, '5')",
  );
  return pick([
    () => `insert ${or} into ${name} values ${row()}`,
    () => `insert ${or} into ${name} values ${row()}, ${row()}, ${row()}`,
    () => `replace into ${name} values ${row()}`,
    () => `insert ${or} into ${name} (id, ${column}) select id, ${value()} from ${pick(tables).name} limit ${1 + int(3)}`,
    () => `insert into ${name} (id, ${column}) values (${id()}, ${value()}) on conflict do nothing`,
    () => `insert into ${name} (id, ${column}) values (${id()}, ${value()}) on conflict (id) do update set ${column} = ${value()}`,
    () => `update ${or} ${name} set ${column} = ${value()} where ${where}`,
    () => `update ${or} ${name} set ${columns.slice(1).map((one) => `${one} = ${value()}`)} where ${where}`,
    () => `update ${or} ${name} set id = ${pick(["id + 1", "7", "'k' || id", "- id"])} where ${where}`,
    () => `update ${name} set ${column} = o.${column} from ${name} as o where o.id > ${name}.id`,
    () => `with w as (select max(id) as m from ${name}) delete from ${name} where id = (select m from w)`,
    () => `delete from ${name} where ${where}`,
    () => (chance(0.3) ? `delete from ${name}` : `insert ${or} into ${name} (${column}) values (${value()}) returning id`),
  ])();
}

function literal(value: Value): unknown {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return BigInt(value.i);
  return "r" in value ? Number(value.r) : Buffer.from(value.b, "hex");
}

/** As SQL alone would do it, in the order of the log. */
function replay(copy: Database.Database, changes: readonly Change[], names: readonly string[]): void {
  for (const { op, table: at, key, new: after } of changes) {
    const name = names[at] as string;
    const { id } = parseRow(key);
    if (op === "D")
      copy.prepare(`delete from ${name} where id is ? and typeof(id) = typeof(?)`).run(literal(id ?? null), literal(id ?? null));
    else {
      const row = parseRow(after ?? "");
      const columns = Object.keys(row);
      if (op === "I")
        copy
          .prepare(`insert into ${name} (${columns}) values (${columns.map(() => "?")})`)
          .run(...columns.map((column) => literal(row[column] ?? null)));
      else if (columns.length > 0)
        copy
          .prepare(`update ${name} set ${columns.map((column) => `${column} = ?`)} where id is ?`)
          .run(...columns.map((column) => literal(row[column] ?? null)), literal(id ?? null));
    }
  }
}

test("what is captured, replayed onto a copy, is the table", { timeout: 60_000 + FUZZ.statements * 50 }, async () => {
  console.log(`${FUZZ.statements} statements: TOMBOLO_FUZZ_STATEMENTS=${FUZZ.statements} TOMBOLO_SEED=${FUZZ.seed}`);
  let worked = 0;
  for (let round = 0; round * ROUND < FUZZ.statements; round++) {
    const seed = FUZZ.seed + round;
    const chosen = random(seed);
    const tables = ["one", "two"].map((name) => table(name, chosen));
    const names = tables.map(({ name }) => name);
    const schema = tables.map(({ ddl }) => ddl).join("; ");
    const copy = new Database(":memory:");
    copy.exec(tables.map(({ copy: ddl }) => ddl).join("; "));
    await withDatabase(schema, names, async ({ application, node }) => {
      application.pragma(`foreign_keys = ${chosen.pick(["on", "off"])}`);
      application.pragma(`recursive_triggers = ${chosen.pick(["on", "off"])}`);
      let after: Position = START;
      const told: string[] = [];
      for (let count = 0; count < ROUND; count++) {
        const sql = statement(tables, chosen);
        if (!application.inTransaction && chosen.chance(0.5)) application.exec("begin");
        told.push(sql);
        try {
          application.exec(sql);
          worked += 1;
        } catch (error) {
          // a value that a rule refuses, or a number that does not fit the rowid
          expect(String(error), sql).toMatch(/constraint|mismatch|foreign key/i);
        }
        if (!application.inTransaction || chosen.chance(0.6)) continue;
        try {
          application.exec(chosen.chance(0.15) ? "rollback" : "commit");
        } catch {
          application.exec("rollback");
        }
        if (chosen.chance(0.4)) continue;
        const read = await readAll(node, names, { after, maxRows: 1 + chosen.int(20) });
        after = read.position;
        replay(copy, read.changes, names);
        for (const name of names) {
          expect(dump(copy, name), `seed ${seed}\n${schema};\n${told.join(";\n")}`).toEqual(dump(application, name));
        }
        told.length = 0;
      }
      if (application.inTransaction) application.exec("rollback");
    });
    copy.close();
  }
  expect(worked).toBeGreaterThan(FUZZ.statements / 4);
});
