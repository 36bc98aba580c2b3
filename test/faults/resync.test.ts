import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Failpoint } from "../../replicator/change/failpoints.ts";
import { until } from "../helpers/command.ts";
import { type Engine, type Side, Trial } from "../helpers/trial.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
const ROWS = 5;
const DDL = `create table item (id bigint primary key not null, note text);
create table sum (id bigint primary key not null, n bigint)`;
const TABLES = "{ name: item, conflict: child_wins }, { name: sum, conflict: { policy: merge, columns: { n: counter } } }";

/** Every place between the wish and the full sync. */
const CASES: readonly (readonly [Side, Failpoint])[] = [
  ["hub", "hub.anew_told"],
  ["edge", "edge.anew_told"],
  ["edge", "rejoin.renew:after"],
  ["edge", "rejoin.restart:before"],
  ["edge", "rejoin.restart:after"],
  ["hub", "rejoin.restart:before"],
  ["hub", "rejoin.restart:after"],
  ["edge", "edge.anew_begun"],
];
const PAIRS: readonly { readonly [side in Side]: Engine }[] = [
  { hub: "postgres", edge: "sqlite" },
  ...(FULL ? [{ hub: "sqlite", edge: "postgres" } as const] : []),
];

describe.each(PAIRS.map((engines) => [engines.hub, engines.edge, engines] as const))("a %s hub and a %s edge", (_hub, _edge, engines) => {
  let trial: Trial;
  let id = 0;
  let sum = 0;
  const items: string[] = [];

  /** Both are written to, whoever runs. */
  const round = async (): Promise<void> => {
    for (const [side, application] of Object.entries(trial.applications)) {
      const ids = Array.from({ length: ROWS }, () => ++id);
      await application.write(ids.map((each) => `insert into item values (${each}, '${side}'); update sum set n = n + 1`).join("; "));
      items.push(...ids.map((each) => `${each} ${side}`));
      sum += ROWS;
    }
  };
  const wrong = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const [side, { rows }] of Object.entries(trial.applications)) {
      const there = await rows("select id, note from item order by id");
      const [counted] = await rows("select n from sum");
      if (there.join() !== items.join()) found.push(`${side} has ${there.length} rows of ${items.length}`);
      if (counted !== String(sum)) found.push(`${side} has counted ${counted} of ${sum}`);
    }
    return found;
  };
  const equal = async (): Promise<void> => {
    let last: string[] = [];
    const both = async (): Promise<boolean> => {
      for (const side of ["hub", "edge"] as const) if (trial.hasEnded(side)) await trial.begin(side);
      last = await wrong();
      return last.length === 0;
    };
    await until("both have all, and only that", both, 120_000).catch((cause: unknown) => {
      throw new Error(`${last.join(", ")}\nedge: ${trial.process("edge")?.stderr().slice(-1_500)}`, { cause });
    });
  };

  beforeAll(async () => {
    trial = await Trial.make({ engines, ddl: DDL, tables: TABLES });
    await trial.applications.hub.write("insert into sum values (1, 0)");
    await trial.begin("hub");
    await trial.enrol("store");
    await trial.begin("edge");
    await equal();
  }, 180_000);
  afterAll(() => trial?.close());

  test.each(CASES)("that begin anew: the %s dies at %s, and everything counts once", { timeout: 240_000 }, async (side, name) => {
    await trial.end("edge", "SIGTERM");
    await round();
    if (side === "hub") {
      await trial.end("hub", "SIGTERM");
      await trial.begin("hub", { TOMBOLO_FAILPOINT: name });
    }
    await trial.resync("store");
    await trial.begin("edge", side === "edge" ? { TOMBOLO_FAILPOINT: name } : {});
    await until("it dies", () => trial.hasEnded(side), 60_000);
    expect(trial.process(side)?.process.signalCode).toBe("SIGKILL");
    // the other one may go on meanwhile, and both are written to
    await round();
    await equal();
    expect(trial.hasEnded("edge")).toBe(false);
  });
});
