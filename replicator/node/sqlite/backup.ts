import type { Clock } from "./clock.ts";
import { type DatabaseFile, sqliteError } from "./connection.ts";

/** Pages copied between two looks at whether others want to write. */
const PAGES = 1000;

/** Copies the database into a file beside it, while others use it; answers the path. */
export async function backUp(file: DatabaseFile, clock: Clock): Promise<string> {
  const at = new Date(clock()).toISOString().slice(0, 19).replaceAll(":", "-");
  const path = `${file.path}.before-full-sync-${at}`;
  const connection = file.connect();
  try {
    await connection.backup(path, { progress: () => PAGES });
    return path;
  } catch (error) {
    throw sqliteError(error, file.node);
  } finally {
    connection.close();
  }
}
