import type { Position } from "../../change/names.ts";
import { parseSnapshot, type Snapshot } from "./snapshot-text.ts";

/** A tick, as reading needs it. */
export interface TickRow {
  readonly snapshot: Snapshot;
  readonly text: string;
  readonly seqHigh: bigint;
}

export const tickRow = (row: { readonly snapshot: string; readonly seq_high: string }): TickRow => ({
  snapshot: parseSnapshot(row.snapshot),
  text: row.snapshot,
  seqHigh: BigInt(row.seq_high),
});

/** Less than the minute for which a purge leaves a tick that nobody needs: what is known here is still in the database. */
const KEPT_MS = 30_000;
const MOST = 64;

/** The ticks that this process has seen last, so that reading a small batch need not ask for them. */
export class RecentTicks {
  readonly #rows = new Map<Position, { readonly row: TickRow; readonly at: number }>();

  add(position: Position, row: TickRow): void {
    this.#rows.delete(position);
    this.#rows.set(position, { row, at: performance.now() });
    for (const [oldest] of this.#rows) {
      if (this.#rows.size <= MOST) break;
      this.#rows.delete(oldest);
    }
  }

  clear(): void {
    this.#rows.clear();
  }

  get(position: Position, keptMs: number = KEPT_MS): TickRow | undefined {
    const known = this.#rows.get(position);
    return known === undefined || performance.now() - known.at > keptMs ? undefined : known.row;
  }
}
