// Builds dist/ from replicator/, config/, bench/ and dashboards/console/, and makes `npx tombolo` work in the checkout. Runs at `npm ci` (prepare).
// Compiles into a folder of its own and swaps it in at the end, so that a failed build leaves the last good one in place.
// Nothing is done when dist/ is current: npx runs `prepare` once more at its first use, perhaps while the command is running.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { replaceFolder, replaceLink } from "./replace.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = join(root, "dist");
const fresh = join(root, `.dist-${process.pid}`);

const SOURCES = [
  "replicator",
  "sql",
  "config",
  "bench",
  "dashboards/console",
  "test/tools",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
];
const stamp = join(dist, ".sources");

/** One hash over every file that the build reads. */
function hashSources(sources = SOURCES) {
  const hash = createHash("sha256").update(process.version);
  const visit = (path) => {
    if (!existsSync(path)) return;
    hash.update(`\n${relative(root, path)}\n`);
    const entries = statSync(path).isDirectory() ? readdirSync(path).sort() : null;
    if (entries === null) hash.update(readFileSync(path));
    else for (const entry of entries) if (entry !== "data") visit(join(path, entry));
  };
  for (const source of sources) visit(join(root, source));
  return hash.digest("hex");
}

const isCurrent = (sources) => existsSync(stamp) && readFileSync(stamp, "utf8") === sources;

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
  const isAsset = (path) => !path.endsWith(".ts") && !path.endsWith("/data");
  cpSync(join(root, "config"), join(fresh, "config"), { recursive: true, filter: isAsset });
}

/** The console, with Vite; where nothing of it has changed, the last one is taken over. */
async function buildConsole() {
  const sources = hashSources(["dashboards/console", "package-lock.json"]);
  const [last, next] = [join(dist, "dashboards/console"), join(fresh, "dashboards/console")];
  if (existsSync(join(last, ".sources")) && readFileSync(join(last, ".sources"), "utf8") === sources) {
    cpSync(last, next, { recursive: true });
    return;
  }
  const { build } = await import("vite");
  const configFile = join(root, "dashboards/console/vite.config.ts");
  await build({ configFile, logLevel: "warn", build: { outDir: next, emptyOutDir: true } });
  writeFileSync(join(next, ".sources"), sources);
}

function swap(sources) {
  writeFileSync(join(fresh, ".sources"), sources);
  replaceFolder(fresh, dist);
}

// npx looks into node_modules/.bin, where npm never links a package's own command.
function linkCommand() {
  const main = join(dist, "replicator/main.js");
  if (!existsSync(main)) return;
  chmodSync(main, 0o755);
  const bin = join(root, "node_modules/.bin");
  if (process.platform === "win32" || !existsSync(join(root, "node_modules"))) return;
  mkdirSync(bin, { recursive: true });
  replaceLink(relative(bin, main), join(bin, "tombolo"));
}

try {
  const sources = hashSources();
  if (!isCurrent(sources)) {
    compile();
    copyAssets();
    await buildConsole();
    swap(sources);
  }
  linkCommand();
} catch (error) {
  console.error(`build: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
