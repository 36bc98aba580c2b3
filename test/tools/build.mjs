// Builds dist/ from replicator/, config/ and bench/, and makes `npx tombolo` work in the checkout. Runs at `npm ci` (prepare).
// Compiles into a folder of its own and swaps it in at the end, so that a failed build leaves the last good one in place.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = join(root, "dist");
const fresh = join(root, `.dist-${process.pid}`);

function compile() {
  const packageFile = createRequire(import.meta.url).resolve("typescript/package.json");
  const project = join(root, "test/tools/tsconfig.build.json");
  const result = spawnSync(process.execPath, [join(dirname(packageFile), "bin/tsc"), "-p", project, "--outDir", fresh], {
    cwd: root,
    stdio: "inherit",
  });
  if (result.status !== 0) throw new Error(`tsc failed (${result.signal ?? result.status}); dist/ is as it was`);
}

// What the compiled code reads at run time lies beside it as it does in the sources.
function copyAssets() {
  cpSync(join(root, "sql"), join(fresh, "sql"), { recursive: true });
  const isAsset = (path) => !path.endsWith(".ts");
  cpSync(join(root, "config"), join(fresh, "config"), { recursive: true, filter: isAsset });
}

function swap() {
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
}

// npx looks into node_modules/.bin, where npm never links a package's own command.
function linkCommand() {
  const main = join(dist, "replicator/main.js");
  if (!existsSync(main)) return;
  chmodSync(main, 0o755);
  const bin = join(root, "node_modules/.bin");
  if (process.platform === "win32" || !existsSync(join(root, "node_modules"))) return;
  mkdirSync(bin, { recursive: true });
  rmSync(join(bin, "tombolo"), { force: true });
  symlinkSync(relative(bin, main), join(bin, "tombolo"));
}

try {
  compile();
  copyAssets();
  swap();
  linkCommand();
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
