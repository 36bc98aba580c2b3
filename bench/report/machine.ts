import { arch, cpus, loadavg, platform, totalmem } from "node:os";
import Database from "better-sqlite3";
import { productVersion } from "../../replicator/lifecycle/product-version.ts";

/** Facts that figures depend on; nothing that names the machine or its folders. */
export interface Machine {
  readonly date: string;
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gib: number;
  readonly platform: string;
  readonly node: string;
  readonly postgres: string;
  readonly sqlite: string;
  readonly tombolo: string;
  /** Over the minute before the run: what else the machine was doing. Near 0 in a run worth publishing; null on Windows. */
  readonly load_before: number | null;
}

export function machine(postgres: string): Machine {
  const database = new Database(":memory:");
  const sqlite = database.prepare("select sqlite_version()").pluck().get() as string;
  database.close();
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memory_gib: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
    node: process.version,
    postgres,
    sqlite,
    tombolo: productVersion(),
    load_before: platform() === "win32" ? null : Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}
