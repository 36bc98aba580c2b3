import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const DEMO = fileURLToPath(new URL("../../dist/config/demo/demo.js", import.meta.url));

test("`npm run demo -- --once` tells its story, finds all nodes equal and exits 0 within a minute", { timeout: 75_000 }, async () => {
  expect(existsSync(DEMO), "npm run build comes first").toBe(true);
  const child = spawn(process.execPath, [DEMO, "--once"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exitCode = await new Promise((resolve) => child.once("close", resolve));

  expect(output).toContain("All checks passed");
  expect(output).toMatch(/parent +Paris\n +child +Lyon/);
  // a drift is found, mended, and gone
  expect(output).toMatch(/compared, 2 differ\n[\s\S]+exit code 3[\s\S]+compared, 2 differ, 2 repaired\n[\s\S]+compared, 0 differ\n/);
  expect(exitCode, output).toBe(0);
});
