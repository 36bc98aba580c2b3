import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import type { Row } from "../../replicator/change/value.ts";
import { type Clash, PLAIN_RULE } from "../../replicator/change/verdict.ts";
import { createModuleRunner, type ModuleRunner, type ModuleRunnerOptions } from "../../replicator/conflict/module-runner.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-module-"));
const runners: ModuleRunner[] = [];
let files = 0;

afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function moduleFile(source: string): string {
  const path = join(folder, `decide-${files++}.mjs`);
  writeFileSync(path, source);
  return path;
}

function runner(options?: ModuleRunnerOptions): ModuleRunner {
  const made = createModuleRunner(options);
  runners.push(made);
  return made;
}

const SECRET = "canary-4711";
const sqlite: Row = { id: { i: "1" }, note: SECRET, qty: { i: "9007199254740993" }, price: { r: "0.5" }, photo: { b: "00ff" }, none: null };
const postgres: Row = { id: "1", note: SECRET, qty: "9007199254740993", paid: "t", photo: "\\x00ff", none: null };

const clash = (module: string | null, over: Partial<Clash> = {}): Clash => ({
  ...PLAIN_RULE,
  policy: "module",
  module,
  table: tableName("shop.orders"),
  key: ["id"],
  op: "U",
  base: sqlite,
  parent: sqlite,
  child: { ...sqlite, note: "the child's" },
  wholeChild: true,
  changed: ["note"],
  parentChangedAt: 1_700_000_000_000_001,
  childChangedAt: null,
  parentNode: nodeName("hub"),
  childNode: nodeName("store-1"),
  ...over,
});

/** Asks a module that is this function. */
const ask = (decide: string, over: Partial<Clash> = {}) => runner().decide(clash(moduleFile(`export default ${decide};`), over));
const inPostgres = { base: postgres, parent: postgres, child: { ...postgres, note: "the child's" } };

describe("a module", () => {
  test.each(["parent", "child", "base", "open"])("takes %s", (take) => {
    expect(ask(`() => ({ take: "${take}" })`)).toEqual({ take });
  });

  test("may be asynchronous, import others, and give a reason", () => {
    writeFileSync(join(folder, "helper.mjs"), `export const reason = " because ";`);
    expect(ask(`async () => { const { reason } = await import("./helper.mjs"); return { take: "child", reason }; }`)).toEqual({
      take: "child",
      reason: "because",
    });
  });

  test("sees the conflict as plain data", () => {
    const shown = join(folder, "shown.json");
    const show = `(conflict) => {
      const text = (name, value) => typeof value === "bigint" ? value + "n" : value instanceof Uint8Array ? [...value] : value;
      writeFileSync(${JSON.stringify(shown)}, JSON.stringify(conflict, text));
      return { take: "open" };
    }; import { writeFileSync } from "node:fs"`;
    const seen = (over: Partial<Clash>): unknown => {
      expect(ask(show, over)).toEqual({ take: "open" });
      return JSON.parse(readFileSync(shown, "utf8"));
    };
    const plain = { id: "1n", note: SECRET, qty: "9007199254740993n", price: 0.5, photo: [0, 255], none: null };
    expect(seen({})).toEqual({
      table: "shop.orders",
      key: { id: "1n" },
      kind: "update_update",
      op: "update",
      base: plain,
      parent: plain,
      child: { ...plain, note: "the child's" },
      changed: ["note"],
      parentChangedAt: "2023-11-14T22:13:20.000001Z",
      childChangedAt: null,
      parentNode: "hub",
      childNode: "store-1",
    });
    expect(seen({ ...inPostgres, op: "D", child: null })).toMatchObject({
      kind: "update_delete",
      op: "delete",
      parent: postgres,
      child: null,
    });
    expect(seen({ parent: null })).toMatchObject({ kind: "delete_update", parent: null, key: { id: "1n" } });
    expect(seen({ op: "I", base: null })).toMatchObject({ kind: "insert_insert", op: "insert", base: null });
  });

  test("gives a row's values in SQLite's terms", () => {
    const row = "{ note: conflict.child.note, qty: conflict.parent.qty + 1n, price: 2, photo: new Uint8Array([1]), none: true, id: 1 }";
    expect(ask(`(conflict) => ({ row: ${row} })`)).toEqual({
      row: { note: "the child's", qty: { i: "9007199254740994" }, price: { r: "2" }, photo: { b: "01" }, none: { i: "1" }, id: { i: "1" } },
    });
    expect(ask("() => ({ row: { none: 1.5, qty: null, note: undefined } })")).toEqual({ row: { none: { r: "1.5" }, qty: null } });
  });

  test("gives a row's values in Postgres' terms", () => {
    const row = "{ note: String(true), qty: BigInt(conflict.parent.qty) + 1n, paid: false, photo: new Uint8Array([1]), none: 1.5 }";
    expect(ask(`(conflict) => ({ row: ${row} })`, inPostgres)).toEqual({
      row: { note: "true", qty: "9007199254740994", paid: "f", photo: "\\x01", none: "1.5" },
    });
    expect(ask("() => ({ row: { none: true, note: true } })", inPostgres)).toEqual({ row: { none: "t", note: "true" } });
  });

  test("decides that there is no row", () => {
    expect(ask("() => ({ row: null })")).toEqual({ row: null });
  });

  test("is a thread of its own, with its state, from one conflict to the next", () => {
    const path = moduleFile("let asked = 0; export default () => ({ take: 'open', reason: String(++asked) });");
    const modules = runner();
    expect([1, 2, 3].map(() => modules.decide(clash(path)))).toEqual(["1", "2", "3"].map((reason) => ({ take: "open", reason })));
  });

  test("that the examples show decides", () => {
    const path = fileURLToPath(new URL("../../config/examples/decide-orders.js", import.meta.url));
    const order = (status: string, total: string, note: string): Row => ({ id: "1", status, total, note });
    const images = { base: order("open", "10.00", ""), parent: order("paid", "10.00", "hub"), child: order("cancelled", "10.00", "store") };
    const answer = runner().decide(clash(path, { ...images, changed: ["status", "note"] }));
    expect(answer).toEqual({ row: { status: "paid", note: "hub\nstore" }, reason: expect.any(String) });
    expect(runner().decide(clash(path, { ...images, op: "D", child: null }))).toEqual({ take: "parent", reason: expect.any(String) });
    expect(
      runner().decide(clash(path, { ...images, parent: { ...images.parent, total: "11" }, child: { ...images.child, total: "12" } })),
    ).toEqual({
      take: "open",
      reason: expect.any(String),
    });
  });
});

describe("what goes wrong is contained, named, and tells no values", () => {
  const CASES: readonly [what: string, source: string, failed: RegExp][] = [
    [
      "an error",
      "export default (c) => { throw new TypeError(c.parent.note); }",
      /^MODULE_FAILED: .*TypeError at decide-\d+\.mjs:1:\d+\.$/,
    ],
    [
      "a rejection",
      "export default async (c) => { throw Object.assign(new Error(c.parent.note), { code: 'E_SHOP' }); }",
      /^MODULE_FAILED: .*E_SHOP/,
    ],
    ["a thrown value", "export default (c) => { throw c.parent.note; }", /^MODULE_FAILED: The module threw string\.$/],
    ["process.exit", "export default () => process.exit(0)", /^MODULE_FAILED: .*ended/],
    [
      "an error outside of the answer",
      "export default (c) => { setTimeout(() => { throw new Error(c.parent.note); }); return new Promise(() => {}); }",
      /^MODULE_FAILED: .*ended/,
    ],
    ["an endless loop", "export default () => { for (;;); }", /^MODULE_TIMEOUT: .* 1000 ms\.$/],
    ["no answer ever", "export default () => new Promise(() => {})", /^MODULE_TIMEOUT/],
    [
      "all the memory",
      "export default () => { const all = []; for (;;) all.push(new Array(1e5).fill(all.length)); }",
      /^MODULE_(TIMEOUT|FAILED)/,
    ],
    ["no default export", "export const decide = () => ({ take: 'child' })", /^MODULE_LOAD: .*no default export/],
    ["a default export that is no function", "export default { take: 'child' }", /^MODULE_LOAD: .*no default export/],
    ["no JavaScript", "export default (", /^MODULE_LOAD: .*SyntaxError/],
    [
      "an error while it is loaded",
      "throw new RangeError('no settings')",
      /^MODULE_LOAD: .*RangeError at decide-\d+\.mjs:1:\d+ \(no settings\)/,
    ],
    ["the end while it is loaded", "process.exit(1)", /^MODULE_LOAD: .*ended/],
    ["a dependency that is missing", "import 'not-there-at-all'", /^MODULE_LOAD: .*ERR_MODULE_NOT_FOUND/],
    ["nothing", "export default () => {}", /^MODULE_ANSWER: .*no object/],
    ["a text", "export default (c) => c.parent.note", /^MODULE_ANSWER: .*no object/],
    ["both", "export default () => ({ take: 'child', row: null })", /^MODULE_ANSWER: .*either/],
    ["neither", "export default () => ({})", /^MODULE_ANSWER: .*either/],
    ["a side that is none", "export default (c) => ({ take: c.parent.note })", /^MODULE_ANSWER: .*none of parent, child, base, open/],
    ["a reason that is no text", "export default () => ({ take: 'child', reason: 1 })", /^MODULE_ANSWER: .*reason/],
    ["a function", "export default () => ({ take: () => 'child' })", /^MODULE_ANSWER: .*plain data/],
    ["a row that is an array", "export default () => ({ row: [] })", /^MODULE_ANSWER: .*row/],
    ["an unknown column", "export default () => ({ row: { nope: 1 } })", /^MODULE_ANSWER: .*"nope"/],
    ["another key", "export default () => ({ row: { id: 2n } })", /^MODULE_ANSWER: .*another key \(id\)/],
    ["an object for a value", "export default (c) => ({ row: { note: { text: c.parent.note } } })", /^MODULE_ANSWER: .*note.*an object/],
    ["a number that is none", "export default () => ({ row: { qty: NaN } })", /^MODULE_ANSWER: .*qty.*NaN/],
    ["an inexact number", "export default () => ({ row: { qty: 9007199254740993 } })", /^MODULE_ANSWER: .*qty.*bigint/],
    ["a number beyond 64 bits", "export default () => ({ row: { qty: 2n ** 63n } })", /^MODULE_ANSWER: .*qty.*64 bits/],
  ];

  test.each(CASES)("%s", (_what, source, failed) => {
    const modules = runner();
    const answer = modules.decide(clash(moduleFile(source)));
    expect(answer).toEqual({ failed: expect.stringMatching(failed) });
    expect(JSON.stringify(answer)).not.toContain(SECRET);
    // the others go on
    expect(modules.decide(clash(moduleFile("export default () => ({ take: 'child' })")))).toEqual({ take: "child" });
  });

  test("a file that is missing, and no file at all", () => {
    expect(runner().decide(clash(join(folder, "nowhere.mjs")))).toEqual({
      failed: expect.stringMatching(/^MODULE_LOAD: .*ERR_MODULE_NOT_FOUND/),
    });
    expect(runner().decide(clash(null))).toEqual({ failed: expect.stringMatching(/^MODULE_LOAD/) });
  });

  test("a row where the whole is not known", () => {
    expect(ask("() => ({ row: { note: 'x' } })", { parent: null, wholeChild: false })).toEqual({
      failed: expect.stringMatching(/^MODULE_ANSWER: .*whole/),
    });
  });

  test("a module that ended is started anew at the next conflict", () => {
    const path = moduleFile(
      "let asked = 0; export default (c) => { if (++asked === 2) process.exit(); return { take: 'open', reason: String(asked) }; }",
    );
    const modules = runner();
    const answers = [1, 2, 3].map(() => modules.decide(clash(path)));
    expect(answers).toEqual([{ take: "open", reason: "1" }, { failed: expect.any(String) }, { take: "open", reason: "1" }]);
  });

  test("a module that was repaired is loaded at the next conflict", () => {
    const path = moduleFile("export default (");
    const modules = runner();
    expect(modules.decide(clash(path))).toHaveProperty("failed");
    writeFileSync(path, "export default () => ({ take: 'child' })");
    expect(modules.decide(clash(path))).toEqual({ take: "child" });
  });
});

test("after three lost threads in a row the module is left alone for a minute, the others are not", () => {
  let now = 0;
  const log = join(folder, "starts.log");
  appendFileSync(log, "");
  const starts = (): number => readFileSync(log, "utf8").length;
  const path = moduleFile(
    `import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(log)}, "x"); export default () => { for (;;); };`,
  );
  const other = moduleFile("export default () => ({ take: 'child' })");
  const modules = runner({ timeLimitMs: 500, clock: () => now });
  const failures = Array.from({ length: 5 }, () => (modules.decide(clash(path)) as { failed: string }).failed.split(":")[0]);
  expect(failures).toEqual(["MODULE_TIMEOUT", "MODULE_TIMEOUT", "MODULE_TIMEOUT", "MODULE_PAUSED", "MODULE_PAUSED"]);
  expect(starts()).toBe(3);
  expect(modules.decide(clash(other))).toEqual({ take: "child" });
  now = 59_999;
  expect(modules.decide(clash(path))).toEqual({ failed: expect.stringMatching(/^MODULE_PAUSED/) });
  now = 60_000;
  expect(modules.decide(clash(path))).toEqual({ failed: expect.stringMatching(/^MODULE_TIMEOUT/) });
  expect(starts()).toBe(4);
});
