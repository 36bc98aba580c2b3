import fc from "fast-check";
import { expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import type { Policy } from "../../replicator/change/verdict.ts";
import type { Decision } from "../../replicator/node/conflict-desk.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const PG = "create table public.item (id bigint primary key, a text, b text)";
const SQLITE = "create table item (id integer primary key, a text, b text)";
const ROWS = "select id, a, b from item order by id";

type Engine = "postgres" | "sqlite";

type Step =
  | { readonly kind: "write"; readonly node: number; readonly id: number; readonly column: "a" | "b" }
  | { readonly kind: "delete"; readonly node: number; readonly id: number }
  | { readonly kind: "sync"; readonly link: number }
  /** Both ends of a link change the same column, and then meet. */
  | { readonly kind: "contest"; readonly link: number; readonly id: number; readonly column: "a" | "b" }
  | { readonly kind: "decide"; readonly node: number; readonly record: number; readonly decision: Decision; readonly force: boolean };

const column = fc.constantFrom("a" as const, "b" as const);
const decision: fc.Arbitrary<Decision> = fc.oneof(
  fc.constantFrom({ take: "parent" } as const, { take: "child" } as const, { take: "base" } as const),
  fc.record({ set: fc.dictionary(fc.constantFrom("a", "b"), fc.option(fc.constantFrom("x", "y", "")), { minKeys: 1 }) }),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), node: fc.nat(2), id: fc.nat(2), column }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), node: fc.nat(2), id: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sync" as const), link: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("contest" as const), link: fc.nat(1), id: fc.nat(2), column }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("decide" as const), node: fc.nat(1), record: fc.nat(20), decision, force: fc.boolean() }),
  },
);

const REFUSALS = new Set(["CONFLICT_ROW_CHANGED", "CONFLICT_INCOMPLETE"]);

/** What was decided stands in the row and in the history; what was refused has changed neither. */
async function decide(node: TestNode, table: string, next: Extract<Step, { kind: "decide" }>): Promise<void> {
  const records = await node.node.conflicts.list({ limit: 10 });
  const record = records[next.record % records.length];
  if (record === undefined) return;
  const row = `select a, b from ${table} where id = ${Object.values(record.key).map((value) => (typeof value === "object" && value !== null && "i" in value ? value.i : value))}`;
  const before = await node.rows(row);
  try {
    const decided = await node.node.conflicts.resolve(record, next.decision, { who: "ann", force: next.force });
    expect(decided).toMatchObject({ status: "resolved", resolvedBy: "ann" });
    const now = await node.rows(row);
    const { result } = decided;
    expect(now).toEqual(result === null ? [] : [[result.a ?? null, result.b ?? null]]);
    if ("take" in next.decision) {
      const version = record[next.decision.take];
      const columns = version === null ? [] : ((before.length === 0 ? null : record.columns) ?? ["a", "b"]);
      for (const column of columns) expect(result?.[column] ?? null).toBe(version?.[column] ?? null);
      if (version === null) expect(result).toBeNull();
    } else for (const [column, value] of Object.entries(next.decision.set)) expect(result?.[column]).toBe(value);
  } catch (error) {
    if (!(error instanceof TomboloError) || !REFUSALS.has(error.code)) throw error;
    expect(error.code === "CONFLICT_ROW_CHANGED" && next.force).toBe(false);
    expect(await node.rows(row)).toEqual(before);
    expect((await node.node.conflicts.show(record.id))?.record).toEqual(record);
  }
}

test.each<readonly [Engine, Engine, Engine]>([
  ["postgres", "postgres", "sqlite"],
  ["sqlite", "sqlite", "postgres"],
])(
  "%s over %s over %s: whatever is written and decided where, all nodes end equal, and then nothing moves any more",
  {
    timeout: 240_000,
  },
  async (...engines) => {
    for (const policy of ["manual", "child_wins"] as Policy[]) {
      const tables = [{ name: "item", policy }];
      const open: TestNode[] = [];
      try {
        for (const [index, engine] of engines.entries()) {
          open.push(engine === "postgres" ? await postgresNode(`n${index}`, PG, tables) : await sqliteNode(`n${index}`, SQLITE, tables));
        }
        const [top, middle, bottom] = open as [TestNode, TestNode, TestNode];
        const links = [testLink(top.node, middle.node, tables), testLink(middle.node, bottom.node, tables)];
        const settle = async (): Promise<void> => {
          for (let round = 0; round < 12; round++) {
            let moved = 0;
            for (const link of links) {
              const { sent, received, parked } = await link.settle();
              moved += sent + received + parked;
            }
            if (moved === 0) return;
          }
          throw new Error("the nodes never come to rest");
        };
        const tableAt = (node: number): string => (engines[node] === "postgres" ? "public.item" : "item");
        let value = 0;
        const write = async (node: number, { id, column: name }: { readonly id: number; readonly column: string }): Promise<void> => {
          value += 1;
          await open[node]?.write(
            `insert into ${tableAt(node)} (id, ${name}) values (${id}, 'v${value}') on conflict (id) do update set ${name} = excluded.${name}`,
          );
        };
        await settle();
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
            for (const next of steps) {
              if (next.kind === "write") await write(next.node, next);
              else if (next.kind === "delete") await open[next.node]?.write(`delete from ${tableAt(next.node)} where id = ${next.id}`);
              else if (next.kind === "decide") await decide(open[next.node] as TestNode, tableAt(next.node), next);
              else {
                if (next.kind === "contest") for (const node of [next.link, next.link + 1]) await write(node, next);
                await links[next.link]?.settle();
              }
            }
            await settle();
            const [rows, ...others] = await Promise.all(open.map((node) => node.rows(ROWS)));
            for (const other of others) expect(other).toEqual(rows);
          }),
          { numRuns: 40 },
        );
        const decided = (await Promise.all([top, middle].map(({ node }) => node.conflicts.list({ limit: 1000 })))).flat();
        expect(decided.filter(({ resolvedBy }) => resolvedBy === "ann").length).toBeGreaterThan(5);
      } finally {
        for (const node of open) await node.close();
      }
    }
  },
);
