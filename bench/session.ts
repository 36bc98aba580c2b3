import { setTimeout as sleep } from "node:timers/promises";
import type { Clusters } from "./clusters.ts";
import { now } from "./measure/clock.ts";
import type { Sizes } from "./plan.ts";
import { MARKER_BACK_ID, MARKER_ID, type Store } from "./stores/store.ts";
import type { TableName } from "./stores/tables.ts";
import type { Installed, System } from "./systems/system.ts";
import { WriterClient } from "./writer/writer.ts";

const POLL_MS = 2;
const NUDGE_MS = 250;

/** Two fresh databases, a system that replicates between them, and a writer at the source. */
export class Session {
  readonly source: Store;
  readonly target: Store;
  readonly writer: WriterClient;
  readonly installed: Installed;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
  /** Ids 1 to this exist in `bench`. */
  rows = 0;
  #marks = 0;
  #back: WriterClient | null = null;

  constructor(parts: Pick<Session, "source" | "target" | "writer" | "installed" | "sizes" | "signal">) {
    this.source = parts.source;
    this.target = parts.target;
    this.writer = parts.writer;
    this.installed = parts.installed;
    this.sizes = parts.sizes;
    this.signal = parts.signal;
  }

  /** Writes the marker until it arrives: from then on every change does. */
  async begin(): Promise<void> {
    await this.installed.start();
    const deadline = now() + this.sizes.patienceSeconds * 1000;
    for (;;) {
      const token = await this.mark();
      const again = now() + NUDGE_MS;
      while (now() < again) {
        if ((await this.target.marker(MARKER_ID)) === token) return;
        await sleep(10);
      }
      this.#check(deadline, "the first change");
    }
  }

  /** Rows changed so far, at both ends. */
  get changes(): number {
    return this.writer.changes + (this.#back?.changes ?? 0);
  }

  /** A writer at the target, once what it writes arrives at the source. */
  async writerBack(): Promise<WriterClient> {
    if (this.#back !== null) return this.#back;
    this.#back = await WriterClient.start(this.target);
    await this.arrivalBack(await this.markBack());
    return this.#back;
  }

  /** The last write of a workload; `arrival` waits for it. */
  async mark(): Promise<string> {
    const token = `mark ${++this.#marks}`;
    await this.writer.do({ do: "mark", id: MARKER_ID, token });
    return token;
  }

  /** The last write at the target. */
  async markBack(): Promise<string> {
    const token = `mark ${++this.#marks}`;
    await this.#back?.do({ do: "mark", id: MARKER_BACK_ID, token });
    return token;
  }

  /** When the target showed the marker. */
  arrival(token: string): Promise<number> {
    return this.#shown(this.target, MARKER_ID, token);
  }

  /** When the source showed the marker of the writer at the target. */
  arrivalBack(token: string): Promise<number> {
    return this.#shown(this.source, MARKER_BACK_ID, token);
  }

  async #shown(store: Store, id: number, token: string): Promise<number> {
    const deadline = now() + this.sizes.patienceSeconds * 1000;
    for (let polls = 0; ; polls++) {
      if ((await store.marker(id)) === token) return now();
      if (polls % 100 === 99) this.#check(deadline, `the marker (${token})`);
      await sleep(POLL_MS);
    }
  }

  /** Throws unless every value of every row of these tables is the same at both ends. */
  async assertEqual(...tables: readonly TableName[]): Promise<void> {
    for (const table of tables.length === 0 ? (["bench"] as const) : tables) {
      const [source, target] = await Promise.all([this.source.digest(table), this.target.digest(table)]);
      if (source.rows !== target.rows) throw new Error(`the source holds ${source.rows} rows of ${table}, the target ${target.rows}`);
      if (source.sha256 !== target.sha256) throw new Error(`the rows of ${table} at source and target differ (${source.rows} rows each)`);
    }
  }

  /** Rows `1..rows` exist at both ends; not part of what is measured. */
  async ensureRows(rows: number): Promise<void> {
    if (await this.load(rows)) await this.arrival(await this.mark());
  }

  /** Rows `1..rows` exist at the source. Answers whether any had to be written. */
  async load(rows: number): Promise<boolean> {
    const missing = rows - this.rows;
    if (missing <= 0) return false;
    const perTransaction = Math.min(missing, 1000);
    const transactions = Math.ceil(missing / perTransaction);
    await this.writer.do({ do: "bulk", bulk: "insert", from: this.rows + 1, transactions, rows: perTransaction, pass: 0 });
    this.rows += transactions * perTransaction;
    return true;
  }

  async close(): Promise<void> {
    await this.#back?.stop();
  }

  #check(deadline: number, what: string): void {
    this.signal.throwIfAborted();
    this.installed.assertAlive();
    if (now() > deadline) throw new Error(`${what} did not arrive in ${this.sizes.patienceSeconds} s`);
  }
}

/** Opens a session, lets `work` have it, and takes everything down again whatever happens. */
export async function withSession<T>(
  options: {
    readonly clusters: Clusters;
    readonly system: System;
    readonly source: "postgres" | "sqlite";
    readonly target: "postgres" | "sqlite";
    readonly sizes: Sizes;
    readonly signal: AbortSignal;
    /** Only capture: nothing is moved. */
    readonly captureOnly?: boolean;
  },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { clusters, system, sizes, signal } = options;
  const name = clusters.freshName();
  const undo: (() => Promise<void>)[] = [];
  try {
    const source = await clusters.create("source", options.source, name);
    undo.push(() => clusters.drop(source));
    const target = await clusters.create("target", options.target, name);
    undo.push(() => clusters.drop(target));
    const installed = await system.install({ name, source, target, directory: clusters.directory });
    undo.push(() => installed.remove());
    const writer = await WriterClient.start(source);
    undo.push(() => writer.stop());
    const session = new Session({ source, target, writer, installed, sizes, signal });
    undo.push(() => session.close());
    if (!options.captureOnly) await session.begin();
    return await work(session);
  } finally {
    for (const step of undo.reverse()) await step();
  }
}
