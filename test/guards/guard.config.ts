import { join } from "node:path";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import base from "../../vitest.config.ts";
import { without } from "./edit.ts";
import { GUARDS } from "./guards.ts";

/** The tests over sources without one guard: TOMBOLO_WITHOUT names it. */
const guard = GUARDS.find(({ name }) => name === process.env.TOMBOLO_WITHOUT);
if (guard === undefined) throw new Error(`TOMBOLO_WITHOUT=${process.env.TOMBOLO_WITHOUT} is no guard`);
const root = join(import.meta.dirname, "../..");

export default defineConfig({
  ...(base as ViteUserConfig),
  root,
  plugins: [
    {
      name: "without a guard",
      enforce: "pre",
      transform(code, id) {
        const edits = guard.edits.filter(({ file }) => id.split("?")[0] === join(root, file));
        return edits.length === 0 ? null : { code: without(code, edits), map: null };
      },
    },
  ],
});
