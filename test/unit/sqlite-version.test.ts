import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { requireSafeVersion, sqliteVersion } from "../../replicator/node/sqlite/connection.ts";

test("a build whose SQLite may damage a file that several processes checkpoint is refused", () => {
  for (const old of ["3.38.0", "3.50.9", "3.51.0", "3.51.2", "2.99.99"]) {
    expect(() => requireSafeVersion(old), old).toThrow(expect.objectContaining({ code: "SQLITE_TOO_OLD" }));
  }
  const memory = new Database(":memory:");
  for (const safe of ["3.51.3", "3.52.0", "3.53.4", "4.0.0", sqliteVersion(memory)])
    expect(() => requireSafeVersion(safe), safe).not.toThrow();
  memory.close();
});
