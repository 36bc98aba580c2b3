import { expect, test } from "vitest";
import type { Change, Op } from "../../replicator/change/change.ts";
import type { TomboloError } from "../../replicator/change/error.ts";
import { nodeName, type Position, tableName } from "../../replicator/change/names.ts";
import type { Receipt } from "../../replicator/change/packet.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import { type Row, rowText } from "../../replicator/change/value.ts";
import type { PeerRole } from "../../replicator/node/target.ts";
import { CHANNEL, context, dump, HUB, judgeFor, packet, readAll, type TestDatabase, withDatabase } from "./database.ts";

const SCHEMA = `
  create table customer (id integer primary key, email text unique, name text);
  create table invoice (id integer primary key, customer integer not null references customer, total real check (total >= 0), paid integer);
`;
const TABLES = ["customer", "invoice"];
const [CUSTOMER, INVOICE] = [0, 1];

const int = (value: number): { i: string } => ({ i: String(value) });
const customer = (id: number, email: string | null, name: string | null = null): Row => ({ id: int(id), email, name });

let clock = 1_000_000;
function change(op: Op, table: number, id: number, old: Row | null, now: Row | null): Change {
  return { table, op, key: rowText({ id: int(id) }), old: old && rowText(old), new: now && rowText(now), changedAt: clock++ };
}
const idOf = ({ id }: Row): number => Number((id as { i: string }).i);
const insert = (row: Row, table = CUSTOMER): Change => change("I", table ?? 0, idOf(row), null, row);
const update = (id: number, old: Row, now: Row, table = CUSTOMER): Change => change("U", table ?? 0, id, old, now);
const remove = (row: Row, table = CUSTOMER): Change => change("D", table ?? 0, idOf(row), row, null);
const refresh = (id: number, row: Row | null): Change => change("R", 0, id, null, row);

interface Peer {
  send(changes: readonly Change[], options?: Partial<Parameters<typeof packet>[0]> & { winner?: "parent" | "child" }): Promise<Receipt>;
  readonly shapes: readonly TableShape[];
}

async function peerOf({ node }: TestDatabase, role: PeerRole): Promise<Peer> {
  await node.target.meet([{ name: HUB, role }]);
  const shapes = await node.log.shapes(TABLES.map(tableName));
  let number = 0;
  return {
    shapes,
    async send(changes, options = {}) {
      number += 1;
      return node.target.apply(
        packet({ number, changes: [changes], shapes, ...options }),
        context(role, TABLES, { judge: judgeFor(options.winner ?? "parent") }),
      );
    },
  };
}

const withPeer = (role: PeerRole, run: (database: TestDatabase, peer: Peer) => Promise<void>): Promise<void> =>
  withDatabase(SCHEMA, TABLES, async (database) => run(database, await peerOf(database, role)));

const parked = ({ application }: TestDatabase): unknown[] =>
  application.prepare("select op, key, code from tombolo_parked_change order by id").raw().all() as unknown[];
const history = ({ application }: TestDatabase): unknown[] =>
  application
    .prepare("select kind, resolution, parent_row, child_row, base_row, result_row from tombolo_conflict_history order by id")
    .raw()
    .all();
/** Of the customers that are here. */
const ids = ({ application }: TestDatabase): number[] =>
  (application.prepare("select id from customer order by id").pluck().all() as bigint[]).map(Number);
const sealed = async ({ node }: TestDatabase): Promise<Position> => (await node.log.tick()).position;

const refused = async (promise: Promise<unknown>): Promise<string> => {
  const error = (await promise.catch((reason: unknown) => reason)) as TomboloError;
  return error.code;
};

test("a packet is applied exactly once, whatever is sent again", async () => {
  await withPeer("parent", async (database, peer) => {
    const { node, application } = database;
    const first = await peer.send([insert(customer(1, "a@x")), insert(customer(2, "b@x"))]);
    expect(first).toMatchObject({ duplicate: false, applied: { insert: 2 } });
    application.exec("delete from customer where id = 2");
    const again = packet({ number: 1, changes: [[insert(customer(1, "a@x")), insert(customer(2, "b@x"))]], shapes: peer.shapes });
    expect(await node.target.apply(again, context("parent", TABLES))).toEqual({ ...first, duplicate: true });
    expect(dump(application, "customer")).toEqual(["1,'a@x',NULL"]);
    const other = (options: object) => packet({ number: 2, changes: [[]], shapes: peer.shapes, ...options });
    const apply = (options: object) => refused(node.target.apply(other(options), context("parent", TABLES)));
    expect(await apply({ number: 1, digest: "another" })).toBe("PACKET_FORK");
    expect(await apply({ previous: "another" })).toBe("PACKET_FORK");
    expect(await apply({ number: 3 })).toBe("PACKET_GAP");
    expect(await apply({ epoch: "00000000-0000-4000-8000-000000000002" })).toBe("PEER_EPOCH");
    const state = await node.target.peer(HUB);
    expect(state.number).toBe(1n);
    expect(state.channels.get(CHANNEL)?.position).toBe(1n);
  });
});

test("what is applied from a peer never goes back to it, and reaches the others with the time when it was made", async () => {
  await withPeer("parent", async ({ node, application }, peer) => {
    await peer.send([insert(customer(1, "a@x"))]);
    expect((await readAll(node, TABLES)).changes).toEqual([]);
    await node.target.meet([{ name: nodeName("edge"), role: "child" }]);
    application.exec("insert into customer values (9, null, 'ours')");
    await peer.send([{ ...insert(customer(2, "b@x")), changedAt: 1_767_225_600_123_000 }, update(1, { name: null }, { name: "n" })]);
    const ours = (await readAll(node, TABLES)).changes.map(({ op, key }) => `${op} ${key}`);
    expect(ours).toEqual(['I {"id":{"i":"9"}}']);
    const theirs = (await readAll(node, TABLES, { reader: "edge" })).changes;
    expect(theirs.map(({ op, key }) => `${op} ${key}`)).toEqual(['I {"id":{"i":"9"}}', 'I {"id":{"i":"2"}}', 'U {"id":{"i":"1"}}']);
    expect(theirs[1]?.changedAt).toBe(1_767_225_600_123_000);
  });
});

test("a packet that fails half-way leaves nothing, not even its mark", async () => {
  await withPeer("parent", async ({ node, application }, peer) => {
    const bad: Change = { ...insert(customer(2, "b@x")), new: "no json" };
    await expect(peer.send([insert(customer(1, "a@x")), bad])).rejects.toThrow();
    expect(dump(application, "customer")).toEqual([]);
    expect((await node.target.peer(HUB)).number).toBe(0n);
    application.exec("insert into customer values (3, null, null)");
    expect((await readAll(node, TABLES)).changes).toHaveLength(1);
  });
});

test("the order within a part does not matter: children, unique values handed on, and rows that exchange them", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application } = database;
    const invoice = (id: number, of: number): Row => ({ id: int(id), customer: int(of), total: { r: "1" }, paid: null });
    await peer.send([insert(invoice(1, 1), INVOICE), insert(customer(1, "a")), insert(customer(2, "b")), insert(customer(3, "c"))]);
    expect(dump(application, "invoice")).toEqual(["1,1,1.0,NULL"]);
    await peer.send([
      insert(customer(4, "c")),
      update(1, { email: "a" }, { email: "b" }),
      update(2, { email: "b" }, { email: "a" }),
      remove(customer(3, "c")),
    ]);
    expect(dump(application, "customer")).toEqual(["1,'b',NULL", "2,'a',NULL", "4,'c',NULL"]);
    await peer.send([remove(customer(1, "b")), remove(invoice(1, 1), INVOICE)]);
    expect(dump(application, "invoice")).toEqual([]);
    expect(parked(database)).toEqual([]);
  });
});

test("what the database refuses is parked with what comes after it of the same row; the rest flows, no bystander is touched", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application, node } = database;
    application.exec("insert into customer values (7, 'taken', 'bystander')");
    const receipt = await peer.send([
      insert(customer(1, "taken")),
      insert({ id: int(1), customer: int(99), total: { r: "1" }, paid: null }, INVOICE),
      insert({ id: int(2), customer: int(7), total: { r: "-1" }, paid: null }, INVOICE),
      insert(customer(2, "fine")),
      { ...insert(customer(3, "x")), new: rowText({ id: int(3), nothing: "x" }) },
      insert(customer(4, "\udcff")),
    ]);
    expect(receipt).toMatchObject({ parked: 5, applied: { insert: 1 } });
    expect((parked(database) as string[][]).map(([, , code]) => code).sort()).toEqual(
      ["CHECK_VIOLATION", "COLUMN_MISSING", "FOREIGN_KEY_VIOLATION", "UNIQUE_VIOLATION", "VALUE_REFUSED"].sort(),
    );
    expect(dump(application, "customer")).toEqual(["2,'fine',NULL", "7,'taken','bystander'"]);
    // the next packet brings more of a parked row
    expect(await peer.send([update(1, { name: null }, { name: "later" })])).toMatchObject({ parked: 1 });
    expect((await node.target.peer(HUB)).hasParked).toBe(true);
    application.exec("update customer set email = 'free' where id = 7; insert into customer (id) values (99)");
    expect(await node.target.retryParked(HUB, context("parent", TABLES), { all: true })).toBe(2);
    expect(dump(application, "customer")).toContain("1,'taken','later'");
    expect(dump(application, "invoice")).toEqual(["1,99,1.0,NULL"]);
    expect((parked(database) as string[][]).map(([, , code]) => code).sort()).toEqual([
      "CHECK_VIOLATION",
      "COLUMN_MISSING",
      "VALUE_REFUSED",
    ]);
  });
});

test("among many inserts, one that is there already and one that is refused keep no other out, and each is told with its own time", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application, node } = database;
    await node.target.meet([{ name: nodeName("edge"), role: "child" }]);
    application.exec("insert into customer values (40, 'ours', null), (1000, 'taken', 'bystander')");
    const [early, late] = [1_767_225_600_123_000, 1_767_225_600_456_000];
    const many = Array.from({ length: 100 }, (_, at) => ({
      ...insert(customer(at + 1, at === 76 ? "taken" : `${at + 1}@x`)),
      changedAt: at < 10 ? early : late,
    }));
    expect(await peer.send(many)).toMatchObject({ parked: 1 });
    expect((parked(database) as string[][]).map(([, key, code]) => [key, code])).toEqual([[rowText({ id: int(77) }), "UNIQUE_VIOLATION"]]);
    const others = many.filter((_, at) => at !== 39 && at !== 76).map(({ new: row }) => idOf(JSON.parse(row as string) as Row));
    expect(ids(database).filter((id) => id !== 40 && id !== 1000)).toEqual(others);
    const told = (await readAll(node, TABLES, { reader: "edge" })).changes.filter(({ key }) =>
      others.includes(idOf(JSON.parse(key) as Row)),
    );
    expect(
      told.map(({ key, changedAt }) => [idOf(JSON.parse(key) as Row), changedAt]).sort(([a], [b]) => (a as number) - (b as number)),
    ).toEqual(others.map((id) => [id, id <= 10 ? early : late]));
  });
});

test("among many inserts of the parent's, a row that was deleted here and not judged does not come back", async () => {
  await withPeer("parent", async (database, peer) => {
    await peer.send([insert(customer(5, "5@x"))]);
    database.application.exec("delete from customer where id = 5");
    await peer.send(Array.from({ length: 64 }, (_, at) => insert(customer(at + 1, `${at + 1}@x`))));
    expect(ids(database)).toEqual(Array.from({ length: 64 }, (_, at) => at + 1).filter((id) => id !== 5));
  });
});

test("a change that was parked because its parent row comes in a later part of the packet is applied before the packet ends", async () => {
  await withPeer("parent", async (database, peer) => {
    const invoice = insert({ id: int(1), customer: int(5), total: null, paid: null }, INVOICE);
    const receipt = await peer.send([], { changes: [[invoice], [insert(customer(5, "e"))]] });
    expect(receipt.parked).toBe(0);
    expect(parked(database)).toEqual([]);
    expect(dump(database.application, "invoice")).toHaveLength(1);
  });
});

test("a violated foreign key that SQLite would find at the commit only is parked, and does not fail the packet", async () => {
  const schema = `create table customer (id integer primary key, friend integer references customer deferrable initially deferred);`;
  await withDatabase(schema, ["customer"], async (database) => {
    const { node, application } = database;
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const shapes = await node.log.shapes([tableName("customer")]);
    const row = (id: number, friend: number): Change => insert({ id: int(id), friend: int(friend) });
    const receipt = await node.target.apply(
      packet({ number: 1, changes: [[row(1, 2), row(2, 1), row(3, 77), row(4, 3)]], shapes }),
      context("parent", ["customer"]),
    );
    expect(receipt.parked).toBe(2);
    expect(dump(application, "customer")).toEqual(["1,2", "2,1"]);
    expect(parked(database)).toHaveLength(2);
  });
});

test("the application's triggers do not run a second time for what comes from elsewhere, and are there again afterwards", async () => {
  const trigger = "create trigger audit after insert on customer begin update customer set name = 'touched' where id = new.id; end";
  await withPeer("parent", async (database, peer) => {
    const { application, node } = database;
    application.exec(trigger);
    await peer.send([insert(customer(1, "a", "as sent"))]);
    expect(dump(application, "customer")).toEqual(["1,'a','as sent'"]);
    expect(application.prepare("select sql from sqlite_schema where name = 'audit'").pluck().get()).toBe(
      trigger.replace("create trigger", "CREATE TRIGGER"),
    );
    application.exec("insert into customer values (2, 'b', 'ours')");
    const { changes } = await readAll(node, TABLES);
    expect(changes.map(({ op }) => op)).toEqual(["I", "U"]);
    expect(await node.installation.verify()).toEqual([]);
  });
});

test("as a parent: a change over a row that is not what it was based on goes to the judge, with the row as the child knew it", async () => {
  await withPeer("child", async (database, peer) => {
    const { application, node } = database;
    await peer.send([insert(customer(1, "a", "n"))]);
    const { position } = await readAll(node, TABLES);
    application.exec("update customer set name = 'parent', email = 'p' where id = 1");
    const receipt = await peer.send([update(1, { name: "n" }, { name: "child" })], { seen: { [CHANNEL]: position } });
    expect(receipt.conflicts).toEqual([{ table: "customer", kind: "update_update", resolution: "parent", count: 1 }]);
    expect(history(database)).toEqual([
      [
        "update_update",
        "parent",
        '{"id":1,"email":"p","name":"parent"}',
        '{"id":1,"email":"a","name":"child"}',
        '{"id":1,"email":"a","name":"n"}',
        '{"id":1,"email":"p","name":"parent"}',
      ],
    ]);
    // the verdict's way back
    const refreshes = (await readAll(node, TABLES, { after: position })).changes.filter(({ op }) => op === "R");
    expect(refreshes.map((change) => change.new)).toEqual(['{"id":{"i":"1"},"email":"p","name":"parent"}']);
  });
});

test("as a parent: the child's version wins where the judge says so; a row deleted meanwhile comes back, an update of none is judged", async () => {
  await withPeer("child", async (database, peer) => {
    const { application, node } = database;
    await peer.send([insert(customer(1, "a", "n")), insert(customer(2, "b", "n"))]);
    const position = await sealed(database);
    application.exec("delete from customer where id = 1; update customer set name = 'p' where id = 2");
    await peer.send([update(1, { name: "n" }, { name: "child" }), remove(customer(2, "b", "n"))], {
      seen: { [CHANNEL]: position },
      winner: "child",
    });
    expect(dump(application, "customer")).toEqual(["1,'a','child'"]);
    expect(history(database)).toHaveLength(2);
    expect((await readAll(node, TABLES, { after: position })).changes.filter(({ op }) => op === "R")).toEqual([]);
  });
});

test("as a parent: edits of different columns do not meet the judge, and a child's truncate is parked", async () => {
  await withPeer("child", async (database, peer) => {
    const { application } = database;
    await peer.send([insert(customer(1, "a", "n"))]);
    application.exec("update customer set email = 'parent' where id = 1");
    await peer.send([update(1, { name: "n" }, { name: "child" })], { seen: { [CHANNEL]: 0n as Position } });
    expect(dump(application, "customer")).toEqual(["1,'parent','child'"]);
    expect(history(database)).toEqual([]);
    await peer.send([{ table: 0, op: "T", key: "", old: null, new: null, changedAt: 1 }]);
    expect(parked(database)).toEqual([["T", "{}", "TRUNCATE_FROM_CHILD"]]);
    expect(dump(application, "customer")).toHaveLength(1);
  });
});

test("as a child: the parent is obeyed, except for columns and rows that are changed here and not judged yet", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application } = database;
    await peer.send([1, 2, 3, 4, 5].map((id) => insert(customer(id, `e${id}`, "n"))));
    const position = await sealed(database);
    application.exec(
      "update customer set name = 'ours' where id in (1, 2); delete from customer where id = 3; insert into customer values (6, 'six', 'ours')",
    );
    const receipt = await peer.send(
      [
        update(1, { name: "was", email: "e1" }, { name: "parent", email: "parent" }),
        remove(customer(2, "e2", "n")),
        refresh(3, customer(3, "e3", "parent")),
        update(4, { name: "never" }, { name: "drift" }),
        update(77, { name: "x" }, { name: "y" }),
        insert(customer(6, "other", "parent")),
        refresh(5, null),
      ],
      { seen: { [CHANNEL]: position } },
    );
    expect(dump(application, "customer")).toEqual(["1,'parent','ours'", "2,'e2','ours'", "4,'e4','drift'", "6,'six','ours'"]);
    expect(receipt.wanted).toEqual([{ table: "customer", key: '{"id":{"i":"77"}}' }]);
    // once judged, all is as the parent says
    await peer.send(
      [refresh(2, null), refresh(3, customer(3, null, "back")), refresh(6, customer(6, "six", "p")), refresh(1, customer(1, "1", "p"))],
      {
        seen: { [CHANNEL]: await sealed(database) },
      },
    );
    // the packet that tells of the judgement cannot say which came last: the rows are asked for
    expect(dump(application, "customer")).toEqual(["1,'parent','ours'", "2,'e2','ours'", "4,'e4','drift'", "6,'six','ours'"]);
    await peer.send(
      [refresh(2, null), refresh(3, customer(3, null, "back")), refresh(6, customer(6, "six", "p")), refresh(1, customer(1, "1", "p"))],
      {
        seen: { [CHANNEL]: await sealed(database) },
      },
    );
    expect(dump(application, "customer")).toEqual(["1,'1','p'", "3,NULL,'back'", "4,'e4','drift'", "6,'six','p'"]);
  });
});

test("as a child: rows whose change was judged since the last packet are asked for, where the packet says something of the same columns", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application } = database;
    await peer.send([insert(customer(1, "a", "n")), insert(customer(2, "b", "n"))], { seen: { [CHANNEL]: 0n as Position } });
    application.exec("update customer set name = 'ours'");
    const receipt = await peer.send([update(1, { name: "ours" }, { name: "parent" }), update(2, { email: "b" }, { email: "parent" })], {
      seen: { [CHANNEL]: await sealed(database) },
    });
    expect(receipt.wanted).toEqual([{ table: "customer", key: '{"id":{"i":"1"}}' }]);
    expect(dump(application, "customer")).toEqual(["1,'a','ours'", "2,'parent','ours'"]);
    // told again to a link that crashed before it asked
    expect((await database.node.target.peer(HUB)).wanted).toEqual(receipt.wanted);
  });
});

test("as a child: a truncate spares rows that are changed here and not judged yet; a fill keeps what it overwrites in the history", async () => {
  await withPeer("parent", async (database, peer) => {
    const { application, node } = database;
    application.exec("insert into customer values (1, 'mine', 'older'), (2, 'same', null)");
    const position = await sealed(database);
    application.exec("insert into customer values (3, 'pending', null)");
    await peer.send([insert(customer(1, "a", "parent")), insert(customer(2, "same")), insert(customer(3, "three"))], {
      kind: "fill",
      upTo: 40n,
      seen: { [CHANNEL]: position },
    });
    expect(dump(application, "customer")).toEqual(["1,'a','parent'", "2,'same',NULL", "3,'pending',NULL"]);
    expect(history(database)).toEqual([
      [
        "insert_insert",
        "parent",
        '{"id":1,"email":"a","name":"parent"}',
        '{"id":1,"email":"mine","name":"older"}',
        null,
        '{"id":1,"email":"a","name":"parent"}',
      ],
    ]);
    const state = await node.target.peer(HUB);
    expect([...state.tables].sort()).toEqual(TABLES);
    expect(state.channels.get(CHANNEL)?.position).toBe(40n);
    await peer.send([{ table: 0, op: "T", key: "", old: null, new: null, changedAt: 1 }], { seen: { [CHANNEL]: position }, upTo: 41n });
    expect(dump(application, "customer")).toEqual(["3,'pending',NULL"]);
  });
});

test("a conflict clause in the table's own declaration deletes no bystander", async () => {
  const schema = "create table customer (id integer primary key, email text unique on conflict replace, name text)";
  await withDatabase(schema, ["customer"], async (database) => {
    const { node, application } = database;
    application.exec("insert into customer values (7, 'taken', 'bystander')");
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const shapes = await node.log.shapes([tableName("customer")]);
    const changes = [insert(customer(1, "taken")), insert(customer(2, "x"))];
    const receipt = await node.target.apply(packet({ number: 1, changes: [changes], shapes }), context("parent", ["customer"]));
    expect(receipt.parked).toBe(1);
    expect(dump(application, "customer")).toEqual(["2,'x',NULL", "7,'taken','bystander'"]);
  });
});
