import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { postgresError } from "../postgres-error.ts";
import type { SlotConsumer } from "./consumer.ts";
import type { LogGate } from "./log-gate.ts";
import { behind, PATIENCE_MS } from "./marks.ts";
import { slotState } from "./slot-state.ts";

const LOOK_MS = 10;

/**
 * The log's gate for a command that a person runs beside `tombolo run`. While another process reads the slot, that one is asked how far
 * it is; otherwise this one reads it.
 */
export class GateElsewhere implements LogGate {
  readonly lags = true;
  readonly #pool: pg.Pool;
  readonly #consumer: SlotConsumer;

  constructor(options: { readonly pool: pg.Pool; readonly consumer: SlotConsumer }) {
    this.#pool = options.pool;
    this.#consumer = options.consumer;
  }

  async complete(): Promise<void> {
    if (this.#consumer.running || !(await this.#read())) return this.#consumer.complete();
    const { rows } = await this.#pool
      .query<{ mark: string }>("update tombolo.slot_mark set mark = mark + 1, elsewhere = true returning mark")
      .catch((error: unknown) => {
        throw postgresError(error);
      });
    const mark = BigInt(rows[0]?.mark ?? 0);
    const until = performance.now() + PATIENCE_MS;
    while (!(await this.#reached(mark))) {
      if (performance.now() > until) throw behind();
      // whoever read it has ended meanwhile
      if (!(await this.#read())) return this.#consumer.complete();
      await sleep(LOOK_MS);
    }
  }

  /** Whether a process reads the slot; not this one. */
  async #read(): Promise<boolean> {
    const state = await slotState(this.#pool);
    return state?.server?.activePid != null;
  }

  async #reached(mark: bigint): Promise<boolean> {
    const { rows } = await this.#pool.query<{ reached: string }>("select mark >= $1::bigint as reached from tombolo.slot", [
      mark.toString(),
    ]);
    return rows[0]?.reached === "t";
  }
}
