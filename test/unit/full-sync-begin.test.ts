import { hostname } from "node:os";
import { expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { beginning, type StoredRun } from "../../replicator/node/full-sync-begin.ts";
import { ALIVE_SECONDS, type RunStart } from "../../replicator/node/full-sync-runs.ts";

const NODE = nodeName("store");
const start: RunStart = {
  peer: nodeName("hub"),
  side: "target",
  direction: "pull",
  tables: [tableName("b"), tableName("a")],
  resume: true,
};
const ELSEWHERE = "full-sync on another machine, pid 1";

const run = (id: bigint, more: Partial<StoredRun> = {}): StoredRun => ({
  ...{ id, peer: start.peer, side: "target", direction: "pull", tables: [tableName("a"), tableName("b")], terms: {} },
  ...{ state: "running", phase: "copy", rows: 0, bytes: 0, estimatedRows: 0, differing: null, holder: ELSEWHERE },
  ...{ startedAt: "2026-01-01T00:00:00Z", finishedAt: null, error: null, silentSeconds: 0 },
  ...more,
});
const begun = (open: readonly StoredRun[], more: Partial<RunStart> = {}, requested: readonly StoredRun[] = []) =>
  beginning(NODE, { ...start, ...more }, { open, requested });

test("a node is the target of one run at a time, whoever the other node is; as a source it may have many", () => {
  expect(() => begun([run(1n, { peer: nodeName("other") })])).toThrow(expect.objectContaining({ code: "FULL_SYNC_RUNS" }));
  expect(begun([run(1n, { side: "source" })])).toMatchObject({ interrupted: [], taken: null });
  expect(begun([run(1n)], { side: "source" })).toMatchObject({ interrupted: [], dropped: [], taken: null });
});

test("a run whose process is gone is interrupted, and gone on with where that is asked for", () => {
  const silent = { silentSeconds: ALIVE_SECONDS + 1 };
  const ended = { holder: `full-sync on ${hostname()}, pid 4194305` };
  for (const gone of [silent, ended]) {
    expect(begun([run(1n, gone)])).toMatchObject({ interrupted: [1n], dropped: [], taken: 1n, resumed: true });
    expect(begun([run(1n, gone)], { resume: false })).toMatchObject({ interrupted: [1n], dropped: [1n], taken: null, resumed: false });
  }
  expect(begun([run(1n)], { holder: ELSEWHERE })).toMatchObject({ interrupted: [1n], taken: 1n, resumed: true });
});

test("only a run of the same tables and direction is gone on with; older ones are dropped", () => {
  const open = [run(4n, { tables: [tableName("a")] }), run(3n, { direction: "push" }), run(2n), run(1n)].map((one) => ({
    ...one,
    state: "interrupted" as const,
  }));
  expect(begun(open)).toMatchObject({ interrupted: [], dropped: [4n, 3n, 1n], taken: 2n, resumed: true });
  expect(begun([{ ...run(1n), state: "interrupted", peer: nodeName("other") }])).toMatchObject({ dropped: [], taken: null });
});

test("a request is taken up, or cancelled where an interrupted run does the same", () => {
  const asked = run(9n, { state: "requested" });
  expect(begun([], {}, [asked])).toMatchObject({ taken: 9n, cancelled: [], resumed: false });
  expect(begun([], {}, [{ ...asked, side: "source" }])).toMatchObject({ taken: null, cancelled: [] });
  expect(begun([run(1n, { state: "interrupted" })], {}, [asked])).toMatchObject({ taken: 1n, cancelled: [9n], resumed: true });
});
