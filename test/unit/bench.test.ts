import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { ArrivalSampler, lags } from "../../bench/measure/lag.ts";
import { metered } from "../../bench/measure/meter.ts";
import { sampleOf } from "../../bench/measure/metrics.ts";
import { watchProcess } from "../../bench/measure/process.ts";
import { percentile, spread } from "../../bench/measure/stats.ts";
import { readOptions } from "../../bench/options.ts";
import { ASIDE, PLACES, ROUTES, SYSTEMS, takesPlace, UPKEEP } from "../../bench/plan.ts";
import { figureNamed } from "../../bench/report/figures.ts";
import { GOALS, judge } from "../../bench/report/goals.ts";
import { toJson } from "../../bench/report/json.ts";
import { machine } from "../../bench/report/machine.ts";
import { Recorder, ratio } from "../../bench/report/recorder.ts";
import { drawRowsPerSecond } from "../../bench/report/svg.ts";
import { printTable } from "../../bench/report/table.ts";
import { SqliteStore } from "../../bench/stores/sqlite.ts";
import { schemaFor } from "../../bench/stores/tables.ts";
import type { Installed } from "../../bench/systems/system.ts";
import { WORKLOADS } from "../../bench/workloads/all.ts";
import { BULKS, type Bulk } from "../../bench/writer/protocol.ts";
import { sqliteWriter } from "../../bench/writer/sqlite-writer.ts";

describe("statistics", () => {
  test("a percentile is one of the values, and at least that share of them does not exceed it", () => {
    const values = fc.array(fc.integer(), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(values, fc.integer({ min: 51, max: 100 }), (all, percent) => {
        const found = percentile(all, percent);
        expect(all).toContain(found);
        expect(all.filter((value) => value <= found).length).toBeGreaterThanOrEqual((percent / 100) * all.length);
        expect(all.filter((value) => value < found).length).toBeLessThan((percent / 100) * all.length);
      }),
    );
  });

  test("the median of an even number of values is between the middle two", () => {
    expect(spread([4, 1, 2, 100])).toEqual({ median: 3, min: 1, max: 100 });
  });
});

const at = (system: string, round: number) => ({ route: "pg-pg", workload: "inserts", system, round });

function recorded(): Recorder {
  const recorder = new Recorder();
  // the machine was ten times slower in the second round
  recorder.add(at("tombolo", 1), { rows_per_second: 60_000 });
  recorder.add(at("native", 1), { rows_per_second: 100_000 });
  recorder.add(at("tombolo", 2), { rows_per_second: 6_000 });
  recorder.add(at("native", 2), { rows_per_second: 10_000 });
  return recorder;
}

describe("the report", () => {
  test("ratios are taken within a round, so that a slow round changes none", () => {
    const recorder = recorded();
    const own = recorder.find("pg-pg", "inserts", "rows_per_second", "tombolo");
    const other = recorder.find("pg-pg", "inserts", "rows_per_second", "native");
    expect(ratio(own!, other!)).toEqual({ median: 0.6, min: 0.6, max: 0.6 });
  });

  test("rounds that one of two systems failed in are left out of the ratio", () => {
    const recorder = recorded();
    recorder.add(at("tombolo", 3), { rows_per_second: 1 });
    const own = recorder.find("pg-pg", "inserts", "rows_per_second", "tombolo");
    expect(ratio(own!, recorder.find("pg-pg", "inserts", "rows_per_second", "native")!)?.min).toBe(0.6);
  });

  test("a goal is judged by the ratio's median, and only when it was measured", () => {
    const recorder = recorded();
    expect(judge(recorder).map(({ goal, met }) => [goal.system, goal.workload, met])).toEqual([["tombolo", "inserts", false]]);
    const faster = new Recorder();
    faster.add(at("tombolo", 1), { rows_per_second: 100_000 });
    faster.add(at("native", 1), { rows_per_second: 100_000 });
    expect(judge(faster).map(({ met }) => met)).toEqual([true]);
  });

  test("a goal for all workloads is judged by the one that is farthest from it", () => {
    const recorder = new Recorder();
    recorder.add(at("tombolo", 1), { peak_rss_bytes: 251 * 2 ** 20 });
    recorder.add({ ...at("tombolo", 1), workload: "updates" }, { peak_rss_bytes: 90 * 2 ** 20 });
    expect(judge(recorder)).toMatchObject([{ workload: "inserts", value: 251 * 2 ** 20, met: false }]);
  });

  test("every goal is of a place and a figure that there are", () => {
    for (const { route, workload, figure, system, to } of GOALS) {
      expect(figureNamed(figure).name).toBe(figure);
      for (const name of [system, to ?? "bare"]) expect(SYSTEMS).toContain(name);
      if (route in ASIDE || workload === null) continue;
      expect([...WORKLOADS.map(({ name }) => name), ...UPKEEP]).toContain(workload);
      expect(ROUTES.map(({ name }) => name)).toContain(route);
    }
  });

  test("the table shows medians, ranges and ratios", () => {
    const lines = printTable(recorded(), new Map([["pg-pg", "Postgres to Postgres"]]));
    expect(lines[1]).toBe("Postgres to Postgres");
    expect(lines.find((line) => line.includes("tombolo"))).toMatch(/33,000 {2}6,000 – 60,000 +0\.60 × native/);
  });

  test("what a result cost stands beside it, in a table of its own", () => {
    const recorder = recorded();
    recorder.add(at("tombolo", 1), { peak_rss_bytes: 100 * 2 ** 20, wire_bytes_per_change: 18.64 });
    recorder.add(at("native", 1), { backends_cpu_seconds: 1.5 });
    const lines = printTable(recorder, new Map());
    const header = lines.findIndex((line) => line.includes("wire/change"));
    expect(lines[header]).toMatch(/workload +system +memory +servers +wire\/change$/);
    expect(lines.slice(header + 1).map((line) => line.trim())).toEqual([
      expect.stringMatching(/^inserts +tombolo +100 MiB +18\.6 B$/),
      expect.stringMatching(/^native +1\.50 s$/),
    ]);
  });

  test("the JSON holds every value of every round, on a line of its own", () => {
    const facts = { machine: machine("18.0"), rounds: 2, settings: { fsync: "on" } };
    const text = toJson(recorded(), facts);
    expect(JSON.parse(text)).toMatchObject({ format: 1, ...facts, goals: [{ system: "tombolo", value: 0.6, met: false }] });
    const line = text.split("\n").find((candidate) => candidate.includes('"system":"native"'));
    expect(JSON.parse(line ?? "")).toEqual({
      ...at("native", 0),
      round: undefined,
      figure: "rows_per_second",
      median: 55_000,
      min: 10_000,
      max: 100_000,
      values: [100_000, 10_000],
    });
  });

  test("the chart draws a bar for every system, in proportion", () => {
    const svg = drawRowsPerSecond(recorded(), new Map());
    const [tombolo, native] = [...svg!.matchAll(/<rect x="250"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(tombolo! / native!).toBeCloseTo(33_000 / 55_000, 2);
  });
});

/** What ten rows more come to: of a bulk that changes rows, of the ten that there are. */
const CHANGED: { readonly [bulk in Bulk]: { readonly from: number; readonly changes: number } } = {
  insert: { from: 11, changes: 10 },
  update: { from: 1, changes: 10 },
  delete: { from: 1, changes: 10 },
  orders: { from: 21, changes: 60 },
  // inserted 10 + 50, updated 10 + 20, deleted one order with 5 lines
  mixed: { from: 21, changes: 96 },
  "wide-insert": { from: 11, changes: 10 },
  "wide-update": { from: 1, changes: 10 },
  "large-insert": { from: 11, changes: 10 },
  "large-update": { from: 1, changes: 10 },
};

describe("the plan", () => {
  test("every workload that is narrowed to places is one that there is, and takes place somewhere", () => {
    const somewhere = (workload: string) =>
      ROUTES.some(({ name, systems }) => systems.some((system) => takesPlace(workload, name, system)));
    expect(WORKLOADS.filter(({ name }) => !somewhere(name))).toEqual([]);
    const names = WORKLOADS.map(({ name }) => name);
    expect(Object.keys(PLACES).filter((name) => !names.includes(name))).toEqual([]);
  });

  test("the one-way link takes part only where it is compared", () => {
    const there = WORKLOADS.filter(({ name }) => takesPlace(name, "pg-pg", "tombolo-one-way")).map(({ name }) => name);
    expect(there).toEqual(["inserts", "updates"]);
  });
});

describe("writing", () => {
  test.each(BULKS)("%s does in SQLite what it says, and counts it", async (bulk) => {
    const folder = mkdtempSync(join(tmpdir(), "tombolo-bench-test-"));
    const database = new Database(join(folder, "a.db"));
    database.exec(schemaFor("sqlite"));
    onTestFinished(() => {
      database.close();
      rmSync(folder, { recursive: true });
    });
    const writer = sqliteWriter(join(folder, "a.db"));
    const before: readonly (readonly [Bulk, number])[] = [
      ["insert", 1],
      ["orders", 1],
      ["orders", 11],
      ["wide-insert", 1],
      ["large-insert", 1],
    ];
    for (const [name, from] of before) await writer.bulk(name, from, 10, 0);
    const changes = await writer.bulk(bulk, CHANGED[bulk].from, 10, 7);
    expect(changes).toBe(CHANGED[bulk].changes);
  });
});

describe("measuring", () => {
  test("a sample of the metrics is found by its name and labels", () => {
    const text = '# HELP a b\nbytes_sum{state="raw"} 10\nbytes_sum{state="compressed"} 4.5\n';
    expect(sampleOf(text, 'bytes_sum{state="compressed"}')).toBe(4.5);
    expect(sampleOf(text, "bytes_sum")).toBe(0);
  });

  test("bytes on the wire are per change made, and count from 0 when the process is another one", async () => {
    let pid = 1;
    let wire = 500;
    let changes = 10;
    const installed = {
      backends: async () => [],
      wireBytes: async () => wire,
      get pid() {
        return pid;
      },
    } as unknown as Installed;
    const work = (next: { pid: number; wire: number }) => async () => {
      ({ pid, wire } = next);
      changes += 100;
      return {};
    };
    expect(await metered(installed, () => changes, work({ pid: 1, wire: 2500 }))).toMatchObject({ wire_bytes_per_change: 20 });
    expect(await metered(installed, () => changes, work({ pid: 2, wire: 300 }))).toMatchObject({ wire_bytes_per_change: 3 });
  });

  test("rows that become visible out of order all get the time of their first sight", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tombolo-bench-test-"));
    const database = new Database(join(folder, "a.db"));
    database.exec(schemaFor("sqlite"));
    const store = new SqliteStore(join(folder, "a.db"));
    onTestFinished(async () => {
      await store.close();
      database.close();
      rmSync(folder, { recursive: true });
    });
    const insert = database.prepare("insert into bench (id) values (?)");
    const sampler = new ArrivalSampler(store, 10);
    for (const id of [13, 11, 15]) insert.run(id);
    await expect.poll(() => sampler.count).toBe(3);
    for (const id of [12, 14]) insert.run(id);
    const seen = await sampler.stop();
    expect([...seen.keys()].sort()).toEqual([11, 12, 13, 14, 15]);
    expect(seen.get(12)).toBeGreaterThan(seen.get(13)!);
    expect(() => lags([[16, 0]], seen)).toThrow("row 16 never arrived");
  });

  test.runIf(process.platform === "linux")("a process that is replaced is watched on, and both count", () => {
    let pid: number | null = null;
    const watch = watchProcess(() => pid);
    pid = process.pid;
    const { peakBytes, cpuSeconds } = watch.stop();
    expect(peakBytes).toBeGreaterThan(1024 * 1024);
    expect(cpuSeconds).toBeGreaterThan(0);
  });
});

describe("options", () => {
  test("--only narrows the kinds that it names and leaves the others whole", () => {
    const { wants, partial } = readOptions(["--only", "native,inserts", "--only", "updates"]);
    expect(partial).toBe(true);
    expect([wants("system", "native"), wants("system", "tombolo")]).toEqual([true, false]);
    expect([wants("workload", "updates"), wants("workload", "idle")]).toEqual([true, false]);
    expect(wants("route", "pg-sqlite")).toBe(true);
  });

  test("a name that nobody has is refused, not ignored", () => {
    expect(() => readOptions(["--only", "nativ"])).toThrow("nativ");
    expect(() => readOptions(["--rounds", "0"])).toThrow("--rounds");
  });
});
