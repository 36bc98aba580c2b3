import fc from "fast-check";
import { expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { context, dump, HUB, packet, readAll, withDatabase } from "./database.ts";

const SCHEMA = "create table v (id integer primary key, x, t text, r real, i integer)";

const number = fc.oneof(
  fc.double({ noNaN: true }),
  fc.constantFrom(0.1 + 0.2, 5e-324, 1.7976931348623157e308, Infinity, -Infinity, 1e15, 123456789012345.67),
);
const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", "'", "''", "a\0b", "\0", "NULL", "1,2", "X'00'", "\ufffd", "😀"),
);
const value = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  number,
  text,
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);

test("every value of every storage class arrives as the same bytes in another SQLite, as an insert, an update and a copy", async () => {
  await withDatabase(SCHEMA, ["v"], (source) =>
    withDatabase(SCHEMA, ["v"], async (target) => {
      await target.node.target.meet([{ name: HUB, role: "parent" }]);
      const shapes = await source.node.log.shapes([tableName("v")]);
      let after = (await source.node.log.tick()).position;
      let sent = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(value, text, number, value), { minLength: 1, maxLength: 40 }), async (rows) => {
          source.application.exec("delete from v");
          const insert = source.application.prepare("insert into v values (?, ?, ?, ?, ?)");
          for (const [id, row] of rows.entries()) insert.run(BigInt(id), null, row[1], row[2], null);
          const send = async (): Promise<void> => {
            const { changes, position } = await readAll(source.node, ["v"], { after });
            after = position;
            sent += 1;
            await target.node.target.apply(packet({ number: sent, changes: [changes], shapes }), context("parent", ["v"]));
          };
          await send();
          const update = source.application.prepare("update v set x = ?, t = ?, i = ? where id = ?");
          for (const [id, row] of rows.entries()) update.run(row[0], row[1].toUpperCase(), row[3], BigInt(id));
          await send();
          expect(dump(target.application, "v")).toEqual(dump(source.application, "v"));
          const bytes = "select group_concat(hex(t) || hex(x) || typeof(x) || hex(i) || typeof(i)) from (select * from v order by id)";
          expect(target.application.prepare(bytes).pluck().get()).toBe(source.application.prepare(bytes).pluck().get());
        }),
        { numRuns: 40 },
      );
      expect(target.application.prepare("select count(*) from tombolo_parked_change").pluck().get()).toBe(0n);
    }),
  );
});

test("1 and 1.0, '1' and x'31' are changes of each other", async () => {
  await withDatabase("create table v (id integer primary key, x)", ["v"], async ({ node, application }) => {
    application.exec(
      "insert into v values (1, 1); update v set x = 1.0; update v set x = '1'; update v set x = x'31'; update v set x = x'31'",
    );
    const { changes } = await readAll(node, ["v"]);
    expect(changes.map((change) => change.new)).toEqual([
      '{"id":{"i":"1"},"x":{"i":"1"}}',
      '{"x":{"r":"1"}}',
      '{"x":"1"}',
      '{"x":{"b":"31"}}',
    ]);
  });
});

test("text that is not UTF-8 is parked where it arrives, by the name of its column, and nothing else is held up or changed", async () => {
  const schema = "create table v (id integer primary key, x, t text)";
  await withDatabase(schema, ["v"], (source) =>
    withDatabase(schema, ["v"], async (target) => {
      await target.node.target.meet([{ name: HUB, role: "parent" }]);
      source.application.exec(
        "insert into v values (1, 'fine', 'é\ufffd'), (2, cast(x'61ff62' as text), 'é'), (3, cast(x'eda080' as text), null)",
      );
      const { changes } = await readAll(source.node, ["v"]);
      expect(JSON.parse(changes[0]?.new ?? "")).toMatchObject({ t: "é\ufffd" });
      expect(JSON.parse(changes[1]?.new ?? "")).toMatchObject({ x: "a\udcffb", t: "é" });
      const shapes = await source.node.log.shapes([tableName("v")]);
      const receipt = await target.node.target.apply(packet({ number: 1, changes: [changes], shapes }), context("parent", ["v"]));
      expect(receipt.parked).toBe(2);
      expect(dump(target.application, "v")).toEqual(["1,'fine','é\ufffd'"]);
      const reasons = target.application.prepare("select code || ': ' || reason from tombolo_parked_change").pluck().all();
      for (const reason of reasons) expect(reason).toMatch(/^VALUE_REFUSED: .*column x/);
      const snapshot = await source.node.tables.open([tableName("v")]);
      for await (const group of snapshot.rows(10, 1 << 20)) expect(group[1]?.new).toBe(changes[1]?.new);
      await snapshot.close();
    }),
  );
});

test("keys at both ends of 64 bits, and keys that differ by case only, name their rows", async () => {
  const schema = "create table big (id integer primary key, v); create table word (w text collate nocase primary key, v) without rowid";
  await withDatabase(schema, ["big", "word"], (source) =>
    withDatabase(schema, ["big", "word"], async (target) => {
      await target.node.target.meet([{ name: HUB, role: "parent" }]);
      const shapes = await source.node.log.shapes([tableName("big"), tableName("word")]);
      source.application.exec("insert into big values (9223372036854775807, 'a'), (-9223372036854775808, 'b'), (9007199254740993, 'c')");
      source.application.exec("insert into word values ('Straße', 1), ('abc', 2)");
      const first = await readAll(source.node, ["big", "word"]);
      await target.node.target.apply(packet({ number: 1, changes: [first.changes], shapes }), context("parent", ["big", "word"]));
      source.application.exec("update word set w = upper(w); update big set v = v || '!'");
      const second = await readAll(source.node, ["big", "word"], { after: first.position });
      await target.node.target.apply(packet({ number: 2, changes: [second.changes], shapes }), context("parent", ["big", "word"]));
      for (const table of ["big", "word"]) expect(dump(target.application, table)).toEqual(dump(source.application, table));
      expect(target.application.prepare("select count(*) from tombolo_parked_change").pluck().get()).toBe(0n);
    }),
  );
});
