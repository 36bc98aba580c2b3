import { afterEach, describe, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { channelName, nodeName, type Position, START, tableName } from "../../replicator/change/names.ts";
import type { Receipt } from "../../replicator/change/packet.ts";
import { type ConflictRule, PLAIN_RULE } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { postgresNode, sqliteNode, type TestNode, wanted } from "../helpers/nodes.ts";
import { told } from "../helpers/told.ts";

const HUB = nodeName("hub");
const ITEM = tableName("item");
const ALL = channelName("all");

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

/** A child that is told things by hand, as a hub would tell them. */
async function child(engine: "postgres" | "sqlite", merged: Partial<ConflictRule> = {}) {
  const node =
    engine === "postgres"
      ? await postgresNode("child", "create table public.item (id bigint primary key, a text, b text)", [{ name: "item" }])
      : await sqliteNode("child", "create table item (id integer primary key, a text, b text)", [{ name: "item" }]);
  open.push(node);
  const { target, log } = node.node;
  await target.meet([{ name: HUB, role: "parent" }]);
  await target.start(HUB, ALL, [ITEM], START);
  const rule = { table: ITEM, channel: ALL, ...PLAIN_RULE, ...merged } as const;
  const context = {
    from: "parent",
    rules: new Map([[ITEM, rule]]),
    judge: createJudge(createModuleRunner()),
    clockOffsetMs: 0,
    nowMs: Date.now(),
  } as const;
  const columns = [
    { name: "id", type: "bigint", base: "int8", notNull: true },
    { name: "a", type: "text", base: "text", notNull: false },
    { name: "b", type: "text", base: "text", notNull: false },
  ];
  return {
    name: engine === "postgres" ? "public.item" : "item",
    node,
    /** The position that a hub has received once it is told everything until now. */
    position: async (): Promise<Position> => (await log.tick()).position,
    async tell(seen: Position, changes: readonly Partial<Change>[]): Promise<Receipt> {
      const state = await target.peer(HUB);
      const sent = told({
        ...{ source: HUB, target: nodeName("child"), channel: ALL, state, seen },
        table: { table: ITEM, channel: ALL, engine: "postgres", columns, key: ["id"], hash: "" },
        changes: changes.map(
          (change) => ({ table: 0, op: "U", key: '{"id": "1"}', old: null, new: null, changedAt: 1, ...change }) as Change,
        ),
      });
      return target.apply(sent, context);
    },
    rows: () => node.rows("select id, a, b from item order by id".replace("item", engine === "postgres" ? "public.item" : "item")),
  };
}

for (const engine of ["postgres", "sqlite"] as const) {
  describe(`a ${engine} child obeys its parent, but`, () => {
    test("a row that it has deleted and the parent has not judged does not come back by an insert", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (1, 'x', 'y')`);
      const seen = await position();
      await tell(seen, []);
      await node.write(`delete from ${name} where id = 1`);
      await tell(seen, [{ op: "I", new: '{"id": "1", "a": "x", "b": "y"}' }]);
      expect(await rows()).toEqual([]);
      // once it is judged, the parent's word counts
      await tell(await position(), []);
      await tell(await position(), [{ op: "I", new: '{"id": "1", "a": "x", "b": "z"}' }]);
      expect(await rows()).toEqual([["1", "x", "z"]]);
    });

    test("a row that it has made and the parent has not judged is not taken for the one that the parent deleted, though they are alike", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (9, 'other', 'row')`);
      const seen = await position();
      await tell(seen, []);
      await node.write(`insert into ${name} values (1, 'x', 'y')`);
      await tell(seen, [{ op: "D", old: '{"id": "1", "a": "x", "b": "y"}' }]);
      expect(await rows()).toContainEqual(["1", "x", "y"]);
      // once it is judged, the parent's word counts
      await tell(await position(), []);
      await tell(await position(), [{ op: "D", old: '{"id": "1", "a": "x", "b": "y"}' }]);
      expect(await rows()).toEqual([["9", "other", "row"]]);
    });

    test.each(["D", "R"] as const)(
      "a row that it has offered and the parent has not judged is asked for when the parent says that it is gone (%s)",
      async (op) => {
        const { node, name, position, tell, rows } = await child(engine);
        await node.write(`insert into ${name} values (1, 'x', 'y'), (2, 'x', 'y')`);
        const before = await position();
        await node.node.tables.seed(HUB, [ITEM]);
        const gone = { op, key: '{"id": "1"}', old: op === "D" ? '{"id": "1", "a": "x", "b": "y"}' : null };
        const asked = { wanted: [{ table: ITEM, key: '{"id": "1"}' }] };
        expect(await tell(before, [gone])).toMatchObject(asked);
        // said ahead of the lock, where the last packet has left nothing open
        expect(await tell(before, [gone])).toMatchObject(asked);
        expect(await rows()).toEqual(
          [
            ["1", "x", "y"],
            ["2", "x", "y"],
          ].map((row) => expect.arrayContaining(row.slice(1))),
        );
        // judged between the last packet and this one: before the deletion, or after it
        const seen = await position();
        expect(await tell(seen, [gone])).toMatchObject(asked);
        expect(await rows()).toHaveLength(2);
        expect(await tell(seen, [gone])).toMatchObject({ wanted: [] });
        expect(await rows()).toHaveLength(1);
      },
    );

    test("rows that it has offered follow the parent where that has them, and stay when it empties the table", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (1, 'x', 'y'), (2, 'x', 'y')`);
      const before = await position();
      await tell(before, []);
      await node.node.tables.seed(HUB, [ITEM]);
      const update = { op: "U", old: '{"a": "p"}', new: '{"a": "q"}' } as const;
      expect(await tell(before, [update])).toMatchObject({ wanted: [] });
      expect((await rows()).map((row) => row.slice(1))).toEqual([
        ["q", "y"],
        ["x", "y"],
      ]);
      await tell(before, [{ op: "T", key: "{}" }]);
      expect(await rows()).toHaveLength(2);
      const seen = await position();
      // judged between the last packet and this one
      expect(await tell(seen, [{ ...update, old: '{"a": "q"}', new: '{"a": "r"}' }])).toMatchObject({ wanted: [] });
      expect((await rows())[0]?.slice(1)).toEqual(["r", "y"]);
      await tell(seen, [{ op: "T", key: "{}" }]);
      expect(await rows()).toHaveLength(0);
    });

    test("columns that it has changed since wait for the verdict, the others follow at once", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (1, 'x', 'y')`);
      const seen = await position();
      await tell(seen, []);
      await node.write(`update ${name} set a = 'mine' where id = 1`);
      await tell(seen, [{ op: "U", old: '{"a": "x", "b": "y"}', new: '{"a": "theirs", "b": "theirs"}' }]);
      expect(await rows()).toEqual([["1", "mine", "theirs"]]);
    });

    test.each([1, 150])(
      "what it has added to a counter waits for the verdict, though it stands where the parent's stood (%d at once)",
      async (count) => {
        const { node, name, position, tell, rows } = await child(engine, { policy: "merge", mergeColumns: { a: "counter" } });
        const ids = Array.from({ length: count }, (_, at) => at + 1);
        const each = (old: string, now: string) =>
          ids.map((id) => ({ op: "U" as const, key: `{"id": "${id}"}`, old: `{"a": "${old}"}`, new: `{"a": "${now}"}` }));
        await node.write(`insert into ${name} values ${ids.map((id) => `(${id}, '5', 'y')`).join(", ")}`);
        const seen = await position();
        await tell(seen, []);
        await node.write(`update ${name} set a = '6'`);
        await tell(seen, each("5", "6"));
        await tell(seen, each("6", "7"));
        expect(new Set((await rows()).map(([, a]) => a))).toEqual(new Set(["6"]));
        await tell(await position(), []);
        // judged: five and one of each side's, and one more of the parent's
        await tell(
          await position(),
          ids.map((id) => ({ op: "R" as const, key: `{"id": "${id}"}`, new: `{"id": "${id}", "a": "8", "b": "y"}` })),
        );
        expect(new Set((await rows()).map(([, a]) => a))).toEqual(new Set(["8"]));
      },
    );

    test("where its own change was judged meanwhile, it asks for the row instead of guessing which came last", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (1, 'x', 'y')`);
      await tell(await position(), []);
      await node.write(`update ${name} set a = 'mine' where id = 1`);
      const judged = await position();
      const receipt = await tell(judged, [{ op: "U", old: '{"a": "x"}', new: '{"a": "older"}' }]);
      expect(receipt.wanted).toEqual([{ table: ITEM, key: '{"id": "1"}' }]);
      expect(await rows()).toEqual([["1", "mine", "y"]]);
      expect((await node.node.target.peer(HUB)).wanted).toEqual(receipt.wanted);
      await tell(judged, [{ op: "R", new: '{"id": "1", "a": "verdict", "b": "y"}' }]);
      expect(await rows()).toEqual([["1", "verdict", "y"]]);
    });

    test("its own changes count although they were logged before its list of columns that stay at home changed", async () => {
      const { node, name, position, tell, rows } = await child(engine);
      await node.write(`insert into ${name} values (1, 'x', 'y'), (2, 'x', 'y')`);
      const seen = await position();
      await tell(seen, []);
      await node.write(`update ${name} set a = 'mine', b = 'home' where id = 1; delete from ${name} where id = 2`);
      await node.node.installation.apply(wanted([{ name: "item", exclude: ["b"] }], engine));
      const second = { key: '{"id": "2"}' };
      await tell(seen, [
        { op: "U", old: '{"a": "x", "b": "y"}', new: '{"a": "theirs", "b": "theirs"}' },
        { ...second, op: "I", new: '{"id": "2", "a": "theirs", "b": "theirs"}' },
      ]);
      expect(await rows()).toEqual([["1", "mine", "home"]]);
      const receipt = await tell(await position(), [
        { op: "U", old: '{"a": "x"}', new: '{"a": "older"}' },
        { ...second, op: "I", new: '{"id": "2", "a": "older", "b": "theirs"}' },
      ]);
      expect(receipt.wanted).toHaveLength(2);
      expect(await rows()).toEqual([["1", "mine", "home"]]);
    });

    test("an update of a row that is not there is asked for whole", async () => {
      const { position, tell, rows } = await child(engine);
      const receipt = await tell(await position(), [{ op: "U", old: '{"a": "x"}', new: '{"a": "z"}' }]);
      expect(receipt.wanted).toEqual([{ table: ITEM, key: '{"id": "1"}' }]);
      expect(await rows()).toEqual([]);
    });
  });
}
