import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { digestOf, recordText } from "../../replicator/change/row-digest.ts";
import { differences } from "../helpers/digests.ts";
import { postgresNode, sqliteNode, type TestNode, testLink, wanted } from "../helpers/nodes.ts";
import { withClient } from "../helpers/postgres.ts";
import { GOLDEN, GOLDEN_DDL } from "../values/golden.ts";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Every golden type in a table of its own, with all its values, and NULL. */
async function goldenHub(): Promise<{ hub: TestNode; tables: { name: string }[] }> {
  const hub = await postgresNode("hub", `${GOLDEN_DDL.join("; ")}`);
  open.push(hub);
  const [[version]] = (await hub.rows("select current_setting('server_version_num')::int / 10000")) as [[string]];
  const golden = GOLDEN.filter(({ since = 0 }) => since <= Number(version));
  const ddl = golden.map(({ type }, at) => `create table public.g${at} (id bigint primary key, v ${type})`);
  await hub.write(ddl.join("; "));
  const rows = golden.flatMap(({ values, type }, at) =>
    [...values, null].map(
      (value, id) => `insert into public.g${at} values (${id}, ${value === null ? "null" : `${quoted(value)}::${type}`})`,
    ),
  );
  await hub.write(rows.join("; "));
  return { hub, tables: golden.map((_, at) => ({ name: `g${at}` })) };
}

const declared = (at: number): string => (GOLDEN[at]!.base === "bytea" ? "blob" : "text");

test("every value of the corpus has the same digest in Postgres and in SQLite", async () => {
  const { hub, tables } = await goldenHub();
  await hub.node.installation.apply(wanted(tables, "postgres"));
  const lite = tables.map(({ name }) => `create table ${name} (id integer primary key, v ${declared(Number(name.slice(1)))})`);
  const store = await sqliteNode("store", lite.join("; "), tables);
  open.push(store);
  await testLink(hub.node, store.node, tables, { direction: "down" }).settle();
  for (const [at, { rows, found }] of (
    await differences(
      hub.node,
      store.node,
      tables.map(({ name }) => name),
    )
  ).entries()) {
    const { values } = GOLDEN[at]!;
    expect(found, GOLDEN[at]!.type).toEqual([]);
    expect(rows).toBe(values.length + 1);
  }
});

test("a record's text is what Postgres prints, for any text", async () => {
  const hub = await postgresNode("hub", "");
  open.push(hub);
  const piece = fc.oneof(
    fc.constantFrom('"', "\\", "(", ")", ",", " ", "\t", "\n", "\v", "\f", "\r", "", "é", "\u00a0", "\u0085", "😀"),
    fc.string(),
  );
  const text = fc.option(
    fc.array(piece, { maxLength: 4 }).map((pieces) =>
      pieces
        .join("")
        .replaceAll("\0", "")
        .replace(/\p{Surrogate}/gu, ""),
    ),
  );
  await withClient(hub.database.url, (client) =>
    fc.assert(
      fc.asyncProperty(fc.tuple(text, text, text), async (values) => {
        const { rows } = await client.query(
          "select row($1::text, $2::text, $3::text)::text as record, md5(row($1::text, $2::text, $3::text)::text) as digest",
          values,
        );
        expect(recordText(values)).toBe(rows[0].record);
        expect(digestOf(values)).toBe(rows[0].digest);
      }),
      { numRuns: 300 },
    ),
  );
});
