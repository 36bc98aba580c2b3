import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../helpers/random.ts";
import type { Books } from "../books.ts";
import type { Place, Statement } from "../places.ts";
import { anything, type Pen, plain } from "./transactions.ts";

export interface WriterOptions {
  readonly place: Place;
  /** One of a kind: the first part of its tokens. */
  readonly name: string;
  readonly books: Books;
  readonly random: Random;
  readonly perSecond: number;
  /** Of the commits, so many are not waited for, and may be taken back by a crash. Servers only. */
  readonly asynchronous: number;
  readonly hasExtra: () => boolean;
  /** Whose tasks its place has; null for everybody's. */
  readonly shop: string | null;
  /** Whether it writes only what may be told twice. */
  readonly isPlain?: boolean;
  /** Of a database that nobody promises anything about. */
  readonly isDisowned?: boolean;
}

/** A transaction as its application made it. */
export interface Made {
  readonly by: string;
  readonly at: string;
  readonly statements: readonly Statement[];
  /** What came of it; null where it was committed. */
  readonly failure: string | null;
}

/** An application that writes to one place until it is told to stop, and survives what happens to it. */
export class Writer {
  readonly name: string;
  /** Of its tokens. */
  number = 0;
  /** What it has done, in order. */
  readonly made: Made[] = [];
  readonly #options: WriterOptions;
  readonly #done: Promise<void>;
  #stopped = false;
  #pause: { readonly until: Promise<void>; readonly over: () => void } | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.name = options.name;
    this.#done = this.#run();
  }

  /** Returns when nothing of it is under way. */
  async pause(): Promise<void> {
    if (this.#pause === undefined) {
      let over = (): void => undefined;
      const until = new Promise<void>((resolve) => {
        over = resolve;
      });
      this.#pause = { until, over };
    }
    await this.#working;
  }

  resume(): void {
    this.#pause?.over();
    this.#pause = undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.resume();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { perSecond, random } = this.#options;
    while (!this.#stopped) {
      await this.#pause?.until;
      this.#working = this.write();
      await this.#working;
      await delay((2 * random.int(1_000)) / perSecond);
    }
  }

  pen(): Pen {
    const { place, random, hasExtra, books, shop } = this.#options;
    return {
      random,
      owner: place.name,
      lock: place.kind === "hub" || place.kind === "replica" ? " for update" : "",
      hasExtra: hasExtra(),
      shop,
      next: () => `${this.name}:${++this.number}`,
      written: [],
      over: [],
      purchaseOf: books.purchaseOf,
    };
  }

  async write(): Promise<void> {
    const { place, books, random, asynchronous, isDisowned = false, isPlain = false } = this.#options;
    const pen = this.pen();
    const isAsynchronous = asynchronous > 0 && random.chance(asynchronous);
    const kind = (isPlain ? plain : anything)(random);
    const statements: Statement[] = [];
    const failure = await place.write(function* () {
      if (isAsynchronous) yield ["set local synchronous_commit = off"];
      const steps = kind(pen);
      for (let next = steps.next(); !next.done; ) {
        if (!/^select/.test(next.value[0])) statements.push(next.value);
        next = steps.next(yield next.value);
      }
    });
    const said = failure === null ? null : `${failure.sent ? "sent: " : ""}${failure.error}`;
    this.made.push({ by: this.name, at: new Date().toISOString(), statements, failure: said });
    if (failure === null && !isAsynchronous && !isDisowned) books.committed(pen.written, pen.over);
    else if (failure === null || failure.sent) books.uncertain(pen.over);
    // its database is away, or full
    if (failure !== null) await delay(30);
  }
}
