import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { serverUrl, withClient } from "../helpers/postgres.ts";
import { GOLDEN, GOLDEN_DDL } from "../values/golden.ts";
import { pin } from "../values/postgres-pins.ts";
import { openWorld, rowsOf, type World } from "./world.ts";

/** Settings that applications have on databases and roles, and that must not get into what is replicated. */
const SETTINGS = [
  "datestyle = 'German'",
  "intervalstyle = 'iso_8601'",
  "timezone = 'Asia/Kathmandu'",
  "bytea_output = 'escape'",
  "extra_float_digits = 0",
];
const SET_ALL = SETTINGS.map(
  (setting) => `do $$ begin execute format('alter database %I set ${setting.replaceAll("'", "''")}', current_database());
    execute format('alter role %I in database %I set ${setting.replaceAll("'", "''")}', current_user, current_database()); end $$;`,
).join("\n");

interface Tried {
  readonly table: string;
  readonly type: string;
  readonly values: readonly string[];
  /** By SQLite column: the one that holds anything, and TEXT. */
  readonly refused: readonly string[];
}

let world: World;
let tried: readonly Tried[];
beforeAll(async () => {
  const major = await withClient(
    await serverUrl(),
    async (client) => Number(await rowsOf(client, "show server_version_num").then(digits)) / 10_000,
  );
  tried = GOLDEN.filter(({ since = 0 }) => since <= major).flatMap(({ type, values, refused }, index) => [
    { table: `any_${index}`, type, values, refused: refused?.none ?? [] },
    { table: `text_${index}`, type, values, refused: refused?.text ?? [] },
  ]);
  world = await openWorld({
    tables: tried.map(({ table }) => table),
    postgres: [SET_ALL, ...GOLDEN_DDL, ...tried.map(({ table, type }) => `create table ${table} (id int primary key, v ${type})`)].join(
      ";\n",
    ),
    sqlite: tried
      .map(({ table }) => `create table ${table} (id integer primary key, v ${table.startsWith("text") ? "text" : ""});`)
      .join("\n"),
  });
  for (const client of [world.hub, world.replica]) await pin(client);
  await world.apply();
  world.run();
}, 60_000);
afterAll(() => world?.close());

const digits = (rows: string): string => rows.replaceAll(/\D/g, "");

/** Every table's rows as the server prints them, and the number of parked changes of each. */
const rowsAt = async (node: "hub" | "replica"): Promise<Map<string, string>> => {
  const { rows } = await world[node].query<{ table: string; rows: string }>(
    tried
      .map(
        ({ table }) =>
          `select '${table}' as table, coalesce(json_agg(json_build_array(id, v::text) order by id), '[]')::text as rows from ${table}`,
      )
      .join(" union all "),
  );
  return new Map(rows.map(({ table, rows }) => [table, rows]));
};

test("every value of every type comes through SQLite and back as it was, or is parked by name; whatever databases and roles have set", {
  timeout: 90_000,
}, async () => {
  for (const { table, type, values } of tried) {
    await world.hub.query(`insert into ${table} select n, x::${type} from unnest($1::text[]) with ordinality as u (x, n)`, [values]);
    await world.hub.query(`insert into ${table} values (900, null)`);
  }
  const hub = await rowsAt("hub");
  await until("the replica has the very same", async () => same(await rowsAt("replica"), hub), 30_000);
  await until(
    "the store has each, or has parked it",
    async () => (await atStore()) === tried.reduce((sum, { values }) => sum + values.length + 1, 0),
    30_000,
  );
  for (const { table, refused } of tried) {
    const codes = await rowsOf(
      world.store,
      `select code, count(*) from tombolo_parked_change where table_name = 'public.${table}' group by code`,
    );
    expect([table, codes]).toEqual([table, refused.length === 0 ? "[]" : `[["VALUE_REFUSED",${refused.length}]]`]);
  }
  world.store.exec(`begin; ${tried.map(({ table }) => `insert into ${table} select id + 1000, v from ${table};`).join(" ")} commit`);
  const came = world.store
    .prepare<[], bigint>(`select ${tried.map(({ table }) => `(select count(*) from ${table} where id >= 1000)`).join(" + ")}`)
    .pluck()
    .safeIntegers();
  await until(
    "all came back to the hub, and went on to the replica",
    async () => {
      const back = await rowsOf(
        world.hub,
        `select ${tried.map(({ table }) => `(select count(*) from ${table} where id >= 1000)`).join(" + ")}`,
      );
      if (digits(back) !== String(came.get()))
        throw new Error(`${back} of ${came.get()}; ${await rowsOf(world.hub, "select table_name, reason from tombolo.parked_change")}`);
      return same(await rowsAt("replica"), await rowsAt("hub"));
    },
    30_000,
  );
  for (const [table, rows] of await rowsAt("hub")) {
    const all = new Map(JSON.parse(rows) as [number, string | null][]);
    // SQLite itself has no way to tell a negative zero from zero (docs/values.md)
    const float = table.startsWith("any") && /^(real|double precision)$/.test(tried.find((one) => one.table === table)?.type ?? "");
    const sent = (id: number): string | null | undefined => (float && all.get(id) === "-0" ? "0" : all.get(id));
    for (const [id, value] of all) if (id >= 1000) expect([table, id, value]).toEqual([table, id, sent(id - 1000)]);
  }
});

const same = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean => {
  for (const [table, rows] of b)
    if (a.get(table) !== rows) throw new Error(`${table}: ${a.get(table)?.slice(0, 300)} instead of ${rows.slice(0, 300)}`);
  return true;
};

async function atStore(): Promise<number> {
  const rows = tried.map(({ table }) => `(select count(*) from ${table})`);
  return Number(digits(await rowsOf(world.store, `select (select count(*) from tombolo_parked_change) + ${rows.join(" + ")}`)));
}
