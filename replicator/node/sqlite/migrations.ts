import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";
import type { Connection } from "./connection.ts";

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

const VERSIONS = `create table if not exists tombolo_migration (
  version integer primary key,
  name text not null,
  applied_at text not null
)`;

/** The numbered files of sql/sqlite, oldest first. Found from the sources and from dist/ alike: sql/ stays at the package's root. */
export function migrations(): readonly Migration[] {
  const folder = join(packageRoot(import.meta.dirname), "sql", "sqlite");
  return readdirSync(folder)
    .filter((file) => /^\d{4}_.*\.sql$/.test(file))
    .sort()
    .map((file) => ({ version: Number(file.slice(0, 4)), name: file.slice(5, -4), sql: readFileSync(join(folder, file), "utf8") }));
}

function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "sql", "sqlite"))) return folder;
    if (dirname(folder) === folder) throw new Error(`no sql/sqlite above ${from}`);
  }
}

/** The version that the database is at; 0 when nothing is installed. Throws `DATABASE_NEWER` for one that this release does not know. */
export function installedVersion(connection: Connection, node: NodeName): number {
  const known = connection.prepare("select 1 from sqlite_schema where type = 'table' and name = 'tombolo_migration'").pluck().get();
  if (known === undefined) return 0;
  const version = Number(connection.prepare("select coalesce(max(version), 0) from tombolo_migration").pluck().get());
  const newest = migrations().at(-1)?.version ?? 0;
  if (version > newest) {
    throw new TomboloError(`${node}: the database is at version ${version}, this Tombolo knows ${newest}`, {
      code: "DATABASE_NEWER",
      kind: "newer",
      hint: "run the Tombolo that installed it, or a newer one",
    });
  }
  return version;
}

/** Migrations that the database has not had. */
export function pendingMigrations(connection: Connection, node: NodeName): readonly Migration[] {
  const version = installedVersion(connection, node);
  return migrations().filter((migration) => migration.version > version);
}

/** Throws `NODE_NOT_INSTALLED` (operator) where `apply` has not run, or not since an older Tombolo was here; `DATABASE_NEWER`. */
export function requireCurrent(connection: Connection, node: NodeName): void {
  const version = installedVersion(connection, node);
  if (version === (migrations().at(-1)?.version ?? 0)) return;
  const what = version === 0 ? "Tombolo is not installed in this database" : "the database is as an older Tombolo left it";
  throw new TomboloError(`${node}: ${what}`, { code: "NODE_NOT_INSTALLED", kind: "operator", hint: "run `tombolo apply`" });
}

/** Runs them inside the caller's transaction, whose write lock keeps concurrent starters apart: the second finds nothing to do. */
export function migrate(connection: Connection, node: NodeName, now: string): void {
  const pending = pendingMigrations(connection, node);
  if (pending.length === 0) return;
  connection.exec(VERSIONS);
  for (const { version, name, sql } of pending) {
    connection.exec(sql);
    connection.prepare("insert into tombolo_migration (version, name, applied_at) values (?, ?, ?)").run(version, name, now);
  }
}
