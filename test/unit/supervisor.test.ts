import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { nodeName } from "../../replicator/change/names.ts";
import { acquireLease } from "../../replicator/lifecycle/lease.ts";
import { advisoryKey } from "../../replicator/lifecycle/lease-postgres.ts";
import { leaseFile, sqliteLease } from "../../replicator/lifecycle/lease-sqlite.ts";
import { NodePool } from "../../replicator/lifecycle/node-pool.ts";
import { backoff, keepRunning, type Service, type ServiceFailure } from "../../replicator/lifecycle/service.ts";
import { Supervisor } from "../../replicator/lifecycle/supervisor.ts";
import { aborted, systemTimers, type Timers } from "../../replicator/lifecycle/timers.ts";
import type { Node } from "../../replicator/node/node.ts";

const retry = { initialMs: 1_000, factor: 2, maxMs: 32_000, jitter: true };

/** Time passes only in sleeps, and they take none. */
function fakeTimers(random = 0.5): Timers & { readonly slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    random: () => random,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const failWith = (kind: "retry" | "operator" | "fatal" | "newer") => new TomboloError("no", { code: "TEST", kind });

describe("a service", () => {
  test("is run again after pauses that grow to the longest one", async () => {
    const timers = fakeTimers(1);
    const stop = new AbortController();
    let runs = 0;
    const service: Service = {
      name: "s",
      run: async () => {
        if (++runs === 8) stop.abort();
        throw failWith("retry");
      },
    };
    const failures: ServiceFailure[] = [];
    await keepRunning(service, stop.signal, { retry: () => retry, timers, onFailure: (failure) => failures.push(failure) });
    expect(timers.slept).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000]);
    expect(failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("that a person must help is tried at the longest pause only", async () => {
    const timers = fakeTimers();
    const stop = new AbortController();
    const service: Service = { name: "s", run: () => Promise.reject(failWith("operator")) };
    await keepRunning(service, stop.signal, { retry: () => retry, timers, onFailure: ({ attempt }) => attempt === 3 && stop.abort() });
    expect(timers.slept).toEqual([32_000, 32_000, 32_000]);
  });

  test.each(["fatal", "newer"] as const)("that fails with kind %s is not tried again", async (kind) => {
    const service: Service = { name: "s", run: () => Promise.reject(failWith(kind)) };
    const options = { retry: () => retry, timers: fakeTimers(), onFailure: () => expect.unreachable() };
    await expect(keepRunning(service, new AbortController().signal, options)).rejects.toMatchObject({ kind });
  });

  test("pauses between half and the whole of the delay, so that many do not come back at once", () => {
    for (const random of [0, 0.3, 0.999]) {
      const pause = backoff(3, retry, { random: () => random });
      expect(pause).toBeGreaterThanOrEqual(2_000);
      expect(pause).toBeLessThan(4_000);
    }
  });
});

describe("a supervisor", () => {
  test("lets the others run when one fails, and stops only what is not wanted any more or has changed", async () => {
    const events: string[] = [];
    const service = (name: string, fingerprint = "1") => ({
      fingerprint,
      service: {
        name,
        run: async (signal: AbortSignal) => {
          events.push(`${name}${fingerprint} on`);
          if (name === "bad") throw failWith("retry");
          await aborted(signal);
          events.push(`${name}${fingerprint} off`);
        },
      },
    });
    const slow: Timers = { ...systemTimers, sleep: (_ms, signal) => aborted(signal) };
    const supervisor = new Supervisor({ retry: () => retry, timers: slow, onFailure: () => events.push("failed") }, () =>
      expect.unreachable(),
    );
    await supervisor.change([service("a"), service("bad"), service("c")]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(["a1 on", "bad1 on", "c1 on", "failed"]);
    events.length = 0;
    await supervisor.change([service("a"), service("c", "2"), service("d")], async () => void events.push("between"));
    expect(events).toEqual(["c1 off", "between", "c2 on", "d1 on"]);
    await supervisor.stopAll();
    expect(supervisor.names).toEqual([]);
  });

  test("hands over what must end the process", async () => {
    const fatal = new Promise<unknown>((resolve) => {
      const supervisor = new Supervisor({ retry: () => retry, timers: fakeTimers(), onFailure: () => {} }, resolve);
      void supervisor.change([{ fingerprint: "", service: { name: "x", run: () => Promise.reject(failWith("fatal")) } }]);
    });
    expect(await fatal).toMatchObject({ kind: "fatal" });
  });
});

describe("the node pool", () => {
  const config = (path: string) => ({ name: nodeName("n"), type: "sqlite" as const, path });

  test("opens a node once for all who ask, and anew after a failure", async () => {
    let opened = 0;
    const failures: unknown[] = [new Error("away")];
    const open = async () => {
      opened++;
      if (failures.length > 0) throw failures.pop();
      return { name: nodeName("n"), close: async () => {} } as Node;
    };
    const pool = new NodePool({ open, onOpened: () => {} });
    await expect(Promise.all([pool.get(config("/a")), pool.get(config("/a"))])).rejects.toThrow("away");
    expect([opened, pool.current("n"), pool.failure("n")]).toEqual([1, null, expect.any(Error)]);
    expect(await pool.get(config("/a"))).toBe(await pool.get(config("/a")));
    expect([opened, pool.failure("n")]).toEqual([2, undefined]);
  });

  test("closes what is configured otherwise now, and keeps the rest", async () => {
    let closed = 0;
    const pool = new NodePool({
      open: async ({ name }) => ({ name, close: async () => void closed++ }) as Node,
      onOpened: () => {},
    });
    await pool.get(config("/a"));
    await pool.keep([config("/a")]);
    expect(closed).toBe(0);
    await pool.keep([config("/b")]);
    expect([closed, pool.current("n")]).toEqual([1, null]);
  });
});

describe("the lease of a SQLite hub", () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  async function hubFile(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "tombolo-lease-"));
    folders.push(folder);
    await writeFile(join(folder, "hub.db"), "");
    return join(folder, "hub.db");
  }

  test("is held by one at a time; the second one learns by whom, and gets it as soon as it is free", async () => {
    const path = await hubFile();
    const [one, two] = [sqliteLease({ node: "hub", path }), sqliteLease({ node: "hub", path })];
    const first = await one.take("sync");
    if (!first.held) throw new Error("nobody else has it");
    expect(await two.take("run")).toEqual({ held: false, holder: expect.stringContaining(`sync on `), isRun: false });
    const waited: string[] = [];
    const waiting = acquireLease(two, new AbortController().signal, {
      timers: fakeTimers(),
      purpose: "run",
      onWait: ({ holder }) => {
        waited.push(holder);
        void first.release();
      },
      onError: () => expect.unreachable(),
    });
    const second = await waiting;
    expect(waited).toHaveLength(1);
    expect(second?.held).toBe(true);
    await second?.remove();
    await expect(rm(leaseFile(path))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("of a database that is not there is a connection error, and leaves no file", async () => {
    const path = `${await hubFile()}-missing`;
    await expect(sqliteLease({ node: "hub", path }).take("run")).rejects.toMatchObject({ kind: "connect" });
    await expect(rm(leaseFile(path))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

test("two topologies have two advisory keys, each a signed 64-bit number", () => {
  const key = BigInt(advisoryKey("retail"));
  expect(key).toBe(BigInt.asIntN(64, key));
  expect(advisoryKey("retail")).not.toBe(advisoryKey("retail2"));
});
