import type { Row } from "../../replicator/change/value.ts";
import { type Bug, type ModelDatabase, sameRow, type Transaction } from "./model-database.ts";
import type { Event, Plan } from "./plan.ts";
import { World } from "./world.ts";

/** Turns of each replicator within which everything has to be at rest; an ordinary plan takes some hundreds. */
const LIMIT = 5_000;
/** It is looked whether it is so once in so many turns. */
const LOOKS = 10;
const PAIR = ['{"id":"left"}', '{"id":"right"}'] as const;

const SUM = '{"id":"sum"}';

interface Open {
  readonly database: ModelDatabase;
  readonly transaction: Transaction;
  readonly endsAt: number;
  readonly gives: "commit" | "rollback";
  readonly durable: boolean;
  readonly record: Record;
}

/** What one committed transaction of an application did. */
interface Record {
  readonly wrote: readonly { readonly before: Row | null; readonly after: Row | null }[];
  /** To the row that everyone adds to. */
  readonly added: number;
}

/** Plays a plan until all is at rest; answers what is wrong, nothing where all promises were kept. */
export async function play(plan: Plan, bugs: ReadonlySet<Bug> = new Set()): Promise<readonly string[]> {
  const world = new World(plan, bugs);
  try {
    return await new Player(world, plan).play();
  } catch (error) {
    return [(error as Error).message, ...world.faults];
  } finally {
    world.close();
  }
}

class Player {
  readonly #world: World;
  readonly #plan: Plan;
  /** Of the transactions that were committed, and not lost in a crash. */
  readonly #ledger = new Set<Record>();
  #open: Open[] = [];
  #values = 0;
  readonly #wrong: string[] = [];

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#plan = plan;
  }

  async play(): Promise<readonly string[]> {
    const { scheduler, databases } = this.#world;
    const [hub] = databases;
    if (hub !== undefined) this.#atOnce(hub, SUM, { id: "sum", a: null, b: null, n: "0" });
    this.#world.start();
    for (const { event, after } of this.#plan.events) {
      await this.#turns(after);
      if (this.#world.faults.length > 0) return this.#world.faults;
      this.#happen(event);
    }
    while (this.#open.length > 0) await this.#turns(1);
    await scheduler.run(() => this.#world.faults.length > 0 || (scheduler.steps % LOOKS === 0 && this.#world.isAtRest), {
      limit: LIMIT * this.#world.running,
    });
    this.#judge();
    return [...this.#wrong, ...this.#world.faults];
  }

  async #turns(count: number): Promise<void> {
    const { scheduler } = this.#world;
    for (let turn = 0; turn < count; turn++) {
      await scheduler.run(() => false, { turns: 1 });
      this.#seePairs();
      const due = this.#open.filter(({ endsAt }) => endsAt <= scheduler.steps);
      this.#open = this.#open.filter((open) => !due.includes(open));
      for (const { database, transaction, gives, durable, record } of due) {
        if (!database.isOpen(transaction)) continue;
        if (gives === "rollback") database.rollback(transaction);
        else {
          database.commit(transaction, { durable, lost: () => this.#ledger.delete(record) });
          this.#ledger.add(record);
        }
      }
    }
  }

  #happen(event: Event): void {
    const { databases } = this.#world;
    const database = "node" in event ? databases[event.node % databases.length] : databases[0];
    if (database === undefined) return;
    switch (event.kind) {
      case "write":
        this.#write(database, event);
        break;
      case "pair":
        this.#pair(database, event.lasts);
        break;
      case "add":
        this.#add(database, event);
        break;
      case "kill replicator":
        this.#world.kill();
        this.#world.start();
        break;
      case "second replicator":
        this.#world.start();
        break;
      case "crash":
        database.crash();
        break;
    }
  }

  #write(database: ModelDatabase, event: Extract<Event, { kind: "write" }>): void {
    const transaction = database.begin(null);
    const keys = event.rows.map(({ key }) => `{"id":"${key}"}`);
    // an application that would have to wait for a lock is not there at all
    if (!database.tryLock(transaction, keys)) {
      database.rollback(transaction);
      return;
    }
    const wrote: Record["wrote"][number][] = [];
    for (const [at, { key: number, a, b, add, remove }] of event.rows.entries()) {
      const key = keys[at] as string;
      const before = database.row(transaction, key);
      const value = (is: boolean, was: Row[string] | undefined) => (is ? this.#value() : (was ?? null));
      const after = remove
        ? null
        : { id: String(number), a: value(a, before?.a), b: value(b, before?.b), n: String(Number(before?.n ?? 0) + add) };
      wrote.push({ before, after });
      database.write(transaction, key, after, this.#byApplication(database));
    }
    this.#begun(database, transaction, { ...event, record: { wrote, added: 0 } });
  }

  #add(database: ModelDatabase, { by, lasts }: Extract<Event, { kind: "add" }>): void {
    const transaction = database.begin(null);
    const before = database.row(transaction, SUM);
    if (before === null || !database.tryLock(transaction, [SUM])) {
      database.rollback(transaction);
      return;
    }
    database.write(transaction, SUM, { ...before, n: String(Number(before.n) + by) }, this.#byApplication(database));
    this.#begun(database, transaction, { lasts, gives: "commit", durable: true, record: { wrote: [], added: by } });
  }

  #pair(hub: ModelDatabase, lasts: number): void {
    const transaction = hub.begin(null);
    if (!hub.tryLock(transaction, PAIR)) {
      hub.rollback(transaction);
      return;
    }
    const value = this.#value();
    for (const [at, key] of PAIR.entries()) {
      const row = { id: at === 0 ? "left" : "right", a: value, b: null, n: "0" };
      hub.write(transaction, key, row, this.#byApplication(hub));
    }
    this.#begun(hub, transaction, { lasts, gives: "commit", durable: true, record: { wrote: [], added: 0 } });
  }

  #atOnce(database: ModelDatabase, key: string, row: Row): void {
    const transaction = database.begin(null);
    database.write(transaction, key, row, this.#byApplication(database));
    database.commit(transaction, { durable: true });
  }

  #byApplication(database: ModelDatabase): Parameters<ModelDatabase["write"]>[3] {
    return { origin: null, changedAt: database.nowMicros(), whole: this.#plan.rule.detect === "row" };
  }

  #begun(
    database: ModelDatabase,
    transaction: Transaction,
    { lasts, gives, durable, record }: Pick<Open, "gives" | "durable" | "record"> & { readonly lasts: number },
  ): void {
    this.#open.push({ database, transaction, endsAt: this.#world.scheduler.steps + lasts, gives, durable, record });
  }

  /** A batch is applied as a whole. */
  #seePairs(): void {
    for (const database of this.#world.databases) {
      const [left, right] = PAIR.map((key) => database.row(null, key)?.a ?? null);
      if (left !== right) this.#wrong.push(`${database.name} shows half of a transaction: ${left} and ${right}`);
    }
  }

  #judge(): void {
    const { databases } = this.#world;
    const [hub] = databases;
    if (hub === undefined) return;
    for (const database of databases) {
      const keys = new Set([...database.rowsNow(), ...hub.rowsNow()].map(([key]) => key));
      for (const key of keys) {
        const [mine, theirs] = [database.row(null, key), hub.row(null, key)];
        if (!sameRow(mine, theirs)) this.#wrong.push(`${database.name} has ${JSON.stringify(mine)}, the hub has ${JSON.stringify(theirs)}`);
      }
    }
    const kept = new Set<unknown>(databases.flatMap((database) => database.rowsNow().flatMap(([, row]) => Object.values(row))));
    for (const { history } of databases) {
      for (const { parent, child } of history)
        for (const value of [...Object.values(parent ?? {}), ...Object.values(child ?? {})]) kept.add(value);
    }
    const [written, replaced] = [new Set<unknown>(), new Set<unknown>()];
    for (const { wrote } of this.#ledger) {
      for (const { before, after } of wrote) {
        for (const column of ["a", "b"]) {
          const [was, is] = [before?.[column], after?.[column]];
          if (typeof is === "string") written.add(is);
          // by someone who had it
          if (typeof was === "string" && was !== is) replaced.add(was);
        }
      }
    }
    for (const value of written) if (!kept.has(value) && !replaced.has(value)) this.#wrong.push(`${value} was written, and is nowhere`);
    const sum = [...this.#ledger].reduce((total, { added }) => total + added, 0);
    const counted = hub.row(null, SUM)?.n;
    if (this.#plan.rule.policy === "merge" && counted !== String(sum)) this.#wrong.push(`${sum} was added, and ${counted} is there`);
  }

  #value(): string {
    this.#values += 1;
    return `v${this.#values}`;
  }
}
