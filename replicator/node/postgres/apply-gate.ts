import { byTable, type IncomingChange, type TextRow } from "./incoming.ts";
import { lockRows, type RowAccess } from "./rows.ts";
import type { LogGate } from "./slot/log-gate.ts";

/**
 * Keeps an applying transaction from concluding anything from a log that lags behind. Before the log is asked about a row, the row is
 * locked and the log complete: then it holds every change that made the row what it is. Rows are locked many at a time, so
 * that a part of a packet waits once and not once per row. Where triggers capture, none of this does anything.
 */
export class ApplyGate implements LogGate {
  readonly #gate: LogGate;
  /** Whether the row was there when the log was last waited for. */
  readonly #known = new WeakMap<IncomingChange, boolean>();

  constructor(gate: LogGate) {
    this.#gate = gate;
  }

  get lags(): boolean {
    return this.#gate.lags;
  }

  complete(): Promise<void> {
    return this.#gate.complete();
  }

  /** Locks the rows of these changes, then waits for the log. Call it in a savepoint: a key may have no place in the table. */
  async lockFirst(access: RowAccess, changes: readonly IncomingChange[]): Promise<void> {
    const unknown = changes.filter((incoming) => !this.#known.has(incoming));
    if (!this.lags || unknown.length === 0) return;
    const found: [IncomingChange, TextRow | null][] = [];
    for (const [table, own] of byTable(unknown)) {
      const rows = await lockRows(
        access,
        table,
        own.map(({ key }) => key),
      );
      for (const [at, incoming] of own.entries()) found.push([incoming, rows[at] ?? null]);
    }
    await this.complete();
    for (const [incoming, row] of found) this.#known.set(incoming, row !== null);
  }

  /**
   * Before the log is asked about the row of a change, which has been looked for and, where it is `there`, locked. A row that came or
   * went since the log was last waited for has changes that it may not hold.
   */
  async before(incoming: IncomingChange, there: boolean): Promise<void> {
    if (!this.lags || this.#known.get(incoming) === there) return;
    await this.complete();
    this.#known.set(incoming, there);
  }

  /** The row has been locked since before the log was last waited for. */
  covers(incoming: IncomingChange): boolean {
    return this.#known.get(incoming) === true;
  }
}
