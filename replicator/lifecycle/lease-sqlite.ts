import { existsSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { TomboloError } from "../change/error.ts";
import { isRunName, type LeaseHold, type LeaseHolder, type LeaseStore, leaseName, type Purpose } from "./lease.ts";

/** Beside the database, so that whoever reaches the one reaches the other. */
export const leaseFile = (databasePath: string): string => `${databasePath}-tombolo-lease`;

/**
 * The lease of a topology whose hub is a SQLite file: a write transaction that stays open in a small database beside it. The operating
 * system ends it with the process, and those who wait can still read who holds it.
 */
export function sqliteLease(options: { node: string; path: string }): LeaseStore {
  return {
    async take(purpose) {
      if (!existsSync(options.path)) throw unreachable(options.node, new Error("no such file"));
      const database = open(options);
      try {
        claim(database, purpose);
        return hold(database, leaseFile(options.path));
      } catch (error) {
        if (!isBusy(error)) {
          database.close();
          throw unreachable(options.node, error);
        }
        const holder = askHolder(database);
        database.close();
        return { held: false, ...holder };
      }
    },
  };
}

function open(options: { node: string; path: string }): Database.Database {
  try {
    return new Database(leaseFile(options.path), { timeout: 0 });
  } catch (error) {
    throw unreachable(options.node, error);
  }
}

/** Writes who we are and keeps the write lock. Between the two transactions another one may get in: then this one is busy, and waits. */
function claim(database: Database.Database, purpose: Purpose): void {
  database.pragma("journal_mode = delete");
  database.exec("begin immediate; create table if not exists holder (name text not null, since text not null); delete from holder");
  database.prepare("insert into holder values (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))").run(leaseName(purpose));
  database.exec("commit; begin immediate");
}

function hold(database: Database.Database, file: string): LeaseHold {
  const release = async () => {
    if (database.open) database.close();
  };
  return {
    held: true,
    lost: new AbortController().signal,
    // one process at a time: all of it is its own
    shares: { members: async () => 1, claim: async () => true, yield: async () => undefined },
    release,
    async remove() {
      // while it is still locked: whoever waits opens the file anew at each attempt
      rmSync(file, { force: true });
      rmSync(`${file}-journal`, { force: true });
      await release();
    },
  };
}

function askHolder(database: Database.Database): Omit<LeaseHolder, "held"> {
  const unknown = { holder: "a process that is just starting", isRun: false };
  try {
    const row = database.prepare<[], { name: string; since: string }>("select name, since from holder").get();
    return row === undefined ? unknown : { holder: `${row.name}, since ${row.since}`, isRun: isRunName(row.name) };
  } catch {
    return unknown;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && (error.code.startsWith("SQLITE_BUSY") || error.code.startsWith("SQLITE_LOCKED"));
}

function unreachable(node: string, cause: unknown): TomboloError {
  return new TomboloError(`the hub ${node} cannot be reached for the lease of the topology`, {
    code: "LEASE_UNREACHABLE",
    kind: "connect",
    hint: "Check that the database exists and that this process may write in its folder.",
    cause,
  });
}
