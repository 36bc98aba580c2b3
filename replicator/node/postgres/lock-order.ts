import { hasMet } from "../../change/error.ts";
import { type ApplySession, type LocksAhead, prepared } from "./apply-session.ts";
import { inSavepoint } from "./attempt.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { byTable, type IncomingChange } from "./incoming.ts";
import { lockStatement } from "./set-statements.ts";

/** After the last sign of rows that many want. */
const KEPT_MS = 60_000;
/** Who waits for longer was not alone. */
const WAITED_MS = 20;

/**
 * Which rows a packet locks first depends on which of them are as it expects: those are written by one statement, the others looked at behind it. Two
 * packets that bring the same few rows lock them in different orders, and under rows that everyone writes (counters) meet in deadlock after deadlock. A lock
 * ahead costs every row of every packet; so it is taken at a node for a minute after two have met there, and for as long as it has to wait: in one order
 * for all, by table and key.
 */
export class LockOrder implements LocksAhead {
  readonly #now: () => number;
  #until = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether rows are locked ahead. */
  get isKept(): boolean {
    return this.#now() < this.#until;
  }

  /** Takes note of why a packet's transaction failed. */
  failed(error: unknown): void {
    if (hasMet(error)) this.#keep();
  }

  /** Locks the rows of these changes that are there, while the order is kept. */
  async lock(session: ApplySession, changes: readonly IncomingChange[]): Promise<void> {
    if (!this.isKept) return;
    const asked = this.#now();
    const tables = [...byTable(changes)].sort(([{ name: a }], [{ name: b }]) => (a < b ? -1 : 1));
    for (const [table, own] of tables) {
      // a key that has no place in the table is told of where it is applied
      await inSavepoint(session, () => lockRowsOf(session, table, own));
    }
    if (this.#now() - asked > WAITED_MS) this.#keep();
  }

  #keep(): void {
    this.#until = this.#now() + KEPT_MS;
  }
}

/** No stronger than what comes: rows that refer to a row which is only changed may be written meanwhile. */
async function lockRowsOf({ client }: ApplySession, table: CapturedTable, changes: readonly IncomingChange[]): Promise<void> {
  const strength = changes.some(({ change }) => change.op === "D") ? "update" : "no key update";
  const { text, values } = lockStatement(
    table,
    changes.map(({ key }) => key),
    strength,
  );
  await prepared(client, text, values);
}
