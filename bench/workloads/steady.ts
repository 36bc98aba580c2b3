import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../measure/stats.ts";
import type { Session } from "../session.ts";
import type { Figures, Workload } from "./workload.ts";

const SAMPLE_MS = 500;

/** Writers at a fixed rate for as long as purges take turns: how large the change log becomes, and how long a commit ever takes. */
export const steady: Workload = {
  name: "steady",
  title: "steady writes",
  once: true,
  prepare: (session) => session.ensureRows(1),
  async run(session: Session): Promise<Figures> {
    const { steadyRate: rate, steadySeconds: seconds, writers: clients } = session.sizes;
    const log = new LogSampler(session);
    const { commits, took } = await session.writer.do({ do: "paced", from: session.rows + 1, rate, seconds, clients });
    session.rows += commits.length;
    await session.arrival(await session.mark());
    const sizes = await log.stop();
    await session.assertEqual();
    return {
      commit_p50_ms: percentile(took, 50),
      commit_p99_ms: percentile(took, 99),
      commit_max_ms: took.reduce((longest, ms) => Math.max(longest, ms), 0),
      ...(sizes.length > 0 && { log_peak_bytes: Math.max(...sizes), log_late_to_early: lateToEarly(sizes) }),
    };
  },
};

/** How large a system's own log is, all the time. */
class LogSampler {
  readonly #sizes: number[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(session: Session) {
    this.#done = this.#watch(session);
  }

  async stop(): Promise<readonly number[]> {
    this.#stop.abort();
    await this.#done;
    return this.#sizes;
  }

  async #watch({ installed }: Session): Promise<void> {
    while (installed.logBytes !== undefined && !this.#stop.signal.aborted) {
      this.#sizes.push(await installed.logBytes());
      await sleep(SAMPLE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}

/** The largest of the last third to the largest of the second: about 1 where the log has stopped growing. */
function lateToEarly(sizes: readonly number[]): number {
  const third = Math.floor(sizes.length / 3);
  const largest = (from: number, to?: number): number => Math.max(1, ...sizes.slice(from, to));
  return largest(2 * third) / largest(third, 2 * third);
}
