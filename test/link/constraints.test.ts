import { describe, expect, test } from "vitest";
import { both, closeAfterEach, type Engine, pairOf, type Schema } from "../helpers/pair.ts";

closeAfterEach();

const ENGINES: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "postgres"],
];

/** The child has no rules of its own, so that it takes what its parent will refuse. */
const WITHOUT = both("create table customer (id bigint primary key, email text, shop bigint, name text, active bigint)");
const CUSTOMER = [{ name: "customer" }];
const ALL = "select id, email, shop, name, active from customer order by id";

describe.each(ENGINES)("a %s parent, a %s child", (above, below) => {
  const engines = [above, below] as const;
  const postgres = above === "postgres";
  const customers = (rules: string): Schema =>
    both(`create table customer (id bigint primary key, email text, shop bigint, name text, active bigint); ${rules}`);

  const unique: readonly (readonly [string, string, string, RegExp])[] = [
    ["plain", "create unique index by_email on customer (email)", "(10, 'ann@x', 1, 'bad', 1)", /email/],
    ["composite", "create unique index by_shop on customer (shop, email)", "(10, 'ann@x', 1, 'bad', 1)", /shop, email|email, shop/],
    ["partial", "create unique index of_active on customer (email) where active = 1", "(10, 'ann@x', 2, 'bad', 1)", /active|of_active/],
    ["over an expression", "create unique index by_lower on customer (lower(email))", "(10, 'ANN@X', 2, 'bad', 1)", /by_lower.*email/],
    [
      "several at once",
      "create unique index by_email on customer (email); create unique index by_name on customer (name)",
      "(10, 'ann@x', 2, 'bob', 1)",
      /email|name/,
    ],
  ];
  test.each(unique)(
    "unique, %s: only the offender is parked; it goes through when the blocker is gone",
    async (_kind, rules, offender, reason) => {
      const { parent, child, settle, parked, expectSame } = await pairOf(engines, customers(rules), CUSTOMER, { childSchema: WITHOUT });
      await parent.write("insert into customer values (1, 'ann@x', 1, 'ann', 1), (2, 'bob@x', 1, 'bob', 1)");
      await settle();
      await child.write(
        `insert into customer values ${offender}, (11, null, null, null, null), (12, null, null, null, 1), (13, 'cyd@x', 1, 'cyd', 1)`,
      );
      expect(await settle()).toMatchObject({ sent: 3, parked: 1 });
      const [only, ...others] = await parked("parent");
      expect(others).toEqual([]);
      expect(only).toMatchObject({ table: "customer", op: "I", code: "UNIQUE_VIOLATION" });
      expect(only?.reason).toMatch(reason);
      // the bystander is as it was
      expect(await parent.rows("select id, email, name from customer where id <= 2 order by id")).toEqual([
        ["1", "ann@x", "ann"],
        ["2", "bob@x", "bob"],
      ]);
      await parent.write("delete from customer where id <= 2");
      await settle();
      expect(await parked("parent")).toEqual([]);
      expect((await expectSame(ALL)).map(([id]) => id)).toEqual(["10", "11", "12", "13"]);
    },
  );

  test("a parked row goes through as soon as the child mends it, and what it changes besides is not lost", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(
      engines,
      customers("create unique index by_email on customer (email)"),
      CUSTOMER,
      {
        childSchema: WITHOUT,
      },
    );
    await parent.write("insert into customer values (1, 'ann@x', 1, 'ann', 1)");
    await settle();
    await child.write("insert into customer values (10, 'ann@x', 2, 'second ann', 1)");
    expect(await settle()).toMatchObject({ parked: 1 });
    await child.write("update customer set name = 'still refused' where id = 10");
    await settle();
    expect(await parked("parent")).toMatchObject([{ op: "I", code: "UNIQUE_VIOLATION" }]);
    await child.write("update customer set email = 'ann2@x' where id = 10");
    expect(await settle()).toMatchObject({ parked: 0 });
    expect(await parked("parent")).toEqual([]);
    expect(await expectSame(ALL)).toEqual([
      ["1", "ann@x", "1", "ann", "1"],
      ["10", "ann2@x", "2", "still refused", "1"],
    ]);
  });

  test("a parked insert that the child takes back is nothing any more", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(
      engines,
      customers("create unique index by_email on customer (email)"),
      CUSTOMER,
      {
        childSchema: WITHOUT,
      },
    );
    await parent.write("insert into customer values (1, 'ann@x', 1, 'ann', 1)");
    await settle();
    await child.write("insert into customer values (10, 'ann@x', 2, 'again', 1)");
    await settle();
    await child.write("delete from customer where id = 10");
    await settle();
    expect(await parked("parent")).toEqual([]);
    expect(await expectSame(ALL)).toHaveLength(1);
  });

  test("checks and NOT NULL cost one row each, of thousands in one transaction", async () => {
    const rules = postgres
      ? "alter table customer add constraint short_name check (length(name) < 10); alter table customer alter shop set not null"
      : "";
    const schema: Schema = {
      postgres: `${WITHOUT.postgres}; ${rules}`,
      sqlite:
        "create table customer (id integer primary key, email text, shop bigint not null, name text, active bigint, constraint short_name check (length(name) < 10))",
    };
    const { parent, child, settle, parked } = await pairOf(engines, schema, CUSTOMER, { childSchema: WITHOUT });
    const values = Array.from(
      { length: 3000 },
      (_, id) => `(${id}, 'e${id}', ${id === 1234 ? "null" : 1}, '${id === 2345 ? "much too long" : "fine"}', 1)`,
    );
    await child.write(`insert into customer values ${values.join(", ")}`);
    expect(await settle()).toMatchObject({ sent: 2998, parked: 2 });
    const found = await parked("parent");
    expect(found.map(({ code }) => code).sort()).toEqual(["CHECK_VIOLATION", "NOT_NULL_VIOLATION"]);
    expect(found.find(({ code }) => code === "CHECK_VIOLATION")?.reason).toMatch(/short_name \(name\)/);
    expect(found.find(({ code }) => code === "NOT_NULL_VIOLATION")?.reason).toMatch(/shop/);
    await child.write("update customer set shop = 1, name = 'fine' where id in (1234, 2345)");
    expect(await settle()).toMatchObject({ parked: 0 });
    expect(await parent.rows("select count(*), min(name), max(name), min(shop) from customer")).toEqual([["3000", "fine", "fine", "1"]]);
  });
});

describe("a Postgres parent", () => {
  test("a trigger that fires always and raises an exception costs the rows that it refuses, and its text stays out of the code", async () => {
    const schema: Schema = {
      postgres: `create table item (id bigint primary key, note text);
        create function no_cats() returns trigger language plpgsql as $$ begin
          if new.note = 'cat' then raise exception 'no % here', new.note; end if; return new; end $$;
        create trigger no_cats before insert on item for each row execute function no_cats();
        alter table item enable always trigger no_cats`,
      sqlite: "create table item (id integer primary key, note text)",
    };
    const { parent, child, settle, parked } = await pairOf(["postgres", "sqlite"], schema, [{ name: "item" }]);
    await child.write("insert into item values (1, 'dog'), (2, 'cat'), (3, 'cow')");
    expect(await settle()).toMatchObject({ sent: 2, parked: 1 });
    expect(await parked("parent")).toMatchObject([{ code: "TRIGGER_REFUSED", reason: "no cat here" }]);
    expect((await parent.rows("select id from item order by id")).flat()).toEqual(["1", "3"]);
    await parent.write("alter table item disable trigger no_cats");
    await child.write("update item set note = 'kitten' where id = 2");
    expect(await settle()).toMatchObject({ parked: 0 });
    expect((await parent.rows("select note from item where id = 2")).flat()).toEqual(["kitten"]);
  });

  test("an exclusion constraint, a deferred one, and the check of a domain each find their culprit", async () => {
    const schema: Schema = {
      postgres: `create extension if not exists btree_gist; create domain code as text check (value ~ '^[A-Z]+$');
        create table booking (id bigint primary key, room bigint, during int4range, code code,
          constraint no_overlap exclude using gist (room with =, during with &&) deferrable initially deferred)`,
      sqlite: "create table booking (id integer primary key, room bigint, during text, code text)",
    };
    const { parent, child, settle, parked } = await pairOf(["postgres", "sqlite"], schema, [{ name: "booking" }]);
    await parent.write("insert into booking values (1, 1, '[1,5)', 'A')");
    await settle();
    const many = Array.from({ length: 500 }, (_, id) => `(${id + 100}, ${id + 100}, '[1,9)', 'OK')`);
    await child.write(
      `insert into booking values ${many.join(", ")}, (2, 1, '[4,6)', 'B'), (3, 2, '[4,6)', 'lower'), (4, 3, '[1,2)', 'C')`,
    );
    expect(await settle()).toMatchObject({ sent: 501, parked: 2 });
    const found = await parked("parent");
    expect(found.map(({ code }) => code).sort()).toEqual(["CHECK_VIOLATION", "EXCLUSION_VIOLATION"]);
    expect(found.find(({ code }) => code === "EXCLUSION_VIOLATION")?.reason).toMatch(/no_overlap \((room, during|during, room)\)/);
    expect(found.find(({ code }) => code === "CHECK_VIOLATION")?.reason).toMatch(/domain code/);
    await parent.write("delete from booking where id = 1");
    await child.write("update booking set code = 'UPPER' where id = 3");
    await settle();
    expect(await parked("parent")).toEqual([]);
    expect(await parent.rows("select count(*) from booking")).toEqual([["503"]]);
  });

  test("a deferred foreign key finds its culprits, and what refers to them, at the end of the part; the rest applies", async () => {
    const schema: Schema = {
      postgres:
        "create table node (id bigint primary key, next bigint not null, constraint leads foreign key (next) references node deferrable initially deferred)",
      sqlite: "create table node (id integer primary key, next bigint not null)",
    };
    const { child, settle, parked, expectSame } = await pairOf(["postgres", "sqlite"], schema, [{ name: "node" }]);
    // a ring, and a chain that hangs on a row that is not there
    const ring = Array.from({ length: 300 }, (_, id) => `(${id}, ${(id + 1) % 300})`);
    await child.write(`insert into node values ${ring.join(", ")}, (1000, 1001), (1001, 1002), (1002, 4711)`);
    expect(await settle()).toMatchObject({ sent: 300, parked: 3 });
    expect((await parked("parent")).every(({ code }) => code === "FOREIGN_KEY_VIOLATION")).toBe(true);
    await child.write("insert into node values (4711, 4711)");
    await settle();
    expect(await parked("parent")).toEqual([]);
    expect(await expectSame("select count(*) from node")).toEqual([["304"]]);
  });
});
