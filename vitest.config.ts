import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const globalSetup = "test/helpers/global-setup.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // a suite of its own: npm run test:faults
    exclude: ["node_modules/**", "dist/**", ...(process.env.TOMBOLO_FAULTS === undefined ? ["test/faults/**"] : [])],
    globalSetup: existsSync(globalSetup) ? [globalSetup] : [],
    // better-sqlite3 is a native addon: a process of its own per file, as many as the smallest machine that we test on has cores
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // a test that only passes the second time is a failing test
    retry: 0,
    passWithNoTests: false,
  },
});
