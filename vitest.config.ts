import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const globalSetup = "test/helpers/global-setup.ts";

/**
 * What takes long and says what other tests say, another way: random histories, whole suites over another capture, another way of travelling or more
 * engines, matrices, processes that are killed, commands end to end whose parts other tests look at. `npm run test:long` runs these, `npm test` the others.
 */
const LONG = [
  "test/e2e/add-columns.test.ts",
  "test/e2e/conflicts.test.ts",
  "test/e2e/edge.test.ts",
  "test/e2e/full-sync.test.ts",
  "test/e2e/media.test.ts",
  "test/e2e/notify.test.ts",
  "test/e2e/parked.test.ts",
  "test/e2e/reconcile.test.ts",
  "test/e2e/replaced.test.ts",
  "test/e2e/robust.test.ts",
  "test/e2e/schema-change.test.ts",
  "test/e2e/share-out.test.ts",
  "test/e2e/slot.test.ts",
  "test/e2e/values.test.ts",
  "test/edge/full-sync.test.ts",
  "test/edge/push.test.ts",
  "test/edge/reconcile.test.ts",
  "test/edge/resync.test.ts",
  "test/full-sync/copying.test.ts",
  "test/full-sync/fill.test.ts",
  "test/full-sync/push.test.ts",
  "test/fuzz/**/*.test.ts",
  "test/hub/bad-line.test.ts",
  "test/hub/histories.test.ts",
  "test/hub/images.test.ts",
  "test/hub/left-behind.test.ts",
  "test/hub/suites.test.ts",
  "test/link/cascades.test.ts",
  "test/link/conflicts-tree.test.ts",
  "test/link/deletes.test.ts",
  "test/link/exclude.test.ts",
  "test/link/filter-histories.test.ts",
  "test/link/permutations.test.ts",
  "test/link/policies.test.ts",
  "test/link/random-history.test.ts",
  "test/link/relayed-histories.test.ts",
  "test/link/relayed.test.ts",
  "test/link/rescope.test.ts",
  "test/medium/histories.test.ts",
  "test/medium/mixed-histories.test.ts",
  "test/medium/travel.test.ts",
  "test/notify/notifier.test.ts",
  "test/postgres/prepared.test.ts",
  "test/reconcile/changed.test.ts",
  "test/reconcile/compare-link.test.ts",
  "test/reconcile/digest-compare.test.ts",
  "test/reconcile/repair.test.ts",
  "test/sim/**/*.test.ts",
  "test/slot/links.test.ts",
  "test/slot/stream.test.ts",
  "test/sqlite/capture-fuzz.test.ts",
  "test/suites/**/*.test.ts",
  "test/unit/judge-simulation.test.ts",
];

/** With processes and servers that are killed: `npm run test:faults`. */
const FAULTS = ["test/faults/**/*.test.ts"];
/** Each of these runs other tests, over a product without one of its guards: `npm run test:guards`. */
const GUARDS = ["test/guards/**/*.test.ts"];

/** In a Chromium: `npm run test:browser`. */
const BROWSER = ["test/browser/**/*.test.ts"];
/** With a Prometheus of the system's: `npm run test:observability`. */
const OBSERVABILITY = ["test/observability/**/*.test.ts"];

const { TOMBOLO_SUITE: suite, TOMBOLO_FAULTS: faults, TOMBOLO_GUARDS: guards } = process.env;
const left = [...(suite === "all" ? FAULTS : faults === undefined ? [...FAULTS, ...LONG] : []), ...(guards === undefined ? GUARDS : [])];
const suites: { readonly [suite: string]: string[] } = { long: LONG, browser: BROWSER, observability: OBSERVABILITY };
const chosen = suites[suite ?? ""] ?? ["test/**/*.test.ts"];

export default defineConfig({
  test: {
    include: chosen,
    exclude: [
      "node_modules/**",
      "dist/**",
      ...(suite === "browser" ? [] : BROWSER),
      ...(suite === "observability" ? [] : OBSERVABILITY),
      ...(suite === "long" || suite === "browser" ? [] : left),
    ],
    globalSetup: existsSync(globalSetup) ? [globalSetup] : [],
    // better-sqlite3 is a native addon: processes, not threads, as many as the smallest machine that we test on has cores. Files share
    // them, and the modules that are loaded: to load all for each of a hundred files takes longer than many of them run.
    pool: "forks",
    isolate: false,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // a test that only passes the second time is a failing test
    retry: 0,
    passWithNoTests: false,
  },
});
