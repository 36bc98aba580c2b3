import { renameSync, rmSync } from "node:fs";
import Database from "better-sqlite3";

/** A copy of the database as it is, with everything that is in its WAL. */
export async function copyOf(path: string, copy: string): Promise<string> {
  const source = new Database(path, { readonly: true });
  await source.backup(copy);
  source.close();
  return copy;
}

/** Another file in the place of one that somebody may have open: as a person does it who restores a backup. */
export function putInPlace(path: string, by: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  renameSync(by, path);
}
