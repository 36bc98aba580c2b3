import type pg from "pg";
import type { ApplySession, AtOnceDone, SaidAtOnce } from "./apply-session.ts";
import { askWhatIsThere, isAskedOnce } from "./dangling.ts";
import { changedHere, unjudged } from "./deleted-here.ts";
import { applySet, type ChangeSet, isForCopy } from "./fast-path.ts";
import { inOneGo } from "./in-one-go.ts";
import type { IncomingChange } from "./incoming.ts";
import { mayBeReferredTo } from "./referrers.ts";
import { isRowError } from "./row-error.ts";

/** What of a session it takes to put its statements. */
export type Speaker = Pick<ApplySession, "client" | "hstore" | "peer" | "header" | "context" | "gate" | "quiet">;

/**
 * The sets of a packet that is one small part, said to the server without waiting for answers in between. What would have to be asked before a statement is
 * asked after it: when the answer says that the statement should not have been made, everything is taken back and done step by step.
 */
export class AtOnce implements SaidAtOnce {
  /** A packet with more changes spends its time on them, not on round trips. */
  static readonly MOST = 100;
  readonly sets: readonly ChangeSet[];
  readonly #session: Speaker;
  #went: Promise<unknown> | undefined;
  #missed: Promise<IncomingChange[]>[] = [];
  #found: Promise<IncomingChange[]>[] = [];
  #lacking: Promise<boolean>[] = [];
  #end: Promise<unknown> | undefined;

  constructor(session: Speaker, sets: readonly ChangeSet[]) {
    this.#session = session;
    this.sets = sets;
  }

  /** Whether none of the sets needs an answer first. */
  static suits(session: Pick<Speaker, "context" | "quiet" | "header">, sets: readonly ChangeSet[]): boolean {
    const suits = (set: ChangeSet): boolean => {
      if (isForCopy(set) || (set.op === "D" && mayBeReferredTo(session, set.table.table))) return false;
      return isAskedOnce(session, set);
    };
    return sets.length > 0 && sets.reduce((sum, { changes }) => sum + changes.length, 0) <= AtOnce.MOST && sets.every(suits);
  }

  /** Asks everything behind `before`, in the same go. `before` answers for itself: what it throws is not thrown here. */
  begin(before: (go: pg.ClientBase) => readonly Promise<unknown>[]): void {
    this.#went = inOneGo(this.#session.client, (go) => [...before(go), ...this.#ask(go)]);
    this.#went.catch(() => undefined);
  }

  /** After `begin`: false where a row was refused. Then, and when this throws, the transaction takes no other statement than those of `undo`. */
  async went(): Promise<boolean> {
    try {
      await this.#went;
      return true;
    } catch (error) {
      if (!isRowError(error)) throw error;
      return false;
    }
  }

  async done(): Promise<AtOnceDone | null> {
    const { client, gate } = this.#session;
    if (this.#went === undefined) this.begin(() => []);
    try {
      await this.#went;
      if (this.#waits) {
        await gate.complete();
        await inOneGo(client, (go) => this.#askAfterwards(go));
      }
    } catch (error) {
      if (!isRowError(error)) throw error;
      const atEnd = error === (await this.#end?.catch((end: unknown) => end));
      await this.undo();
      return { error, atEnd };
    }
    const unfit = await Promise.all(this.#missed);
    const missed = new Set(unfit.flat());
    const found = (await Promise.all(this.#found)).flat();
    const lacking = (await Promise.all(this.#lacking)).some((some) => some);
    if (!lacking && found.every((incoming) => missed.has(incoming))) return { unfit };
    await this.undo();
    return null;
  }

  /** After `begin`: takes everything back that `done` has not. */
  async undo(): Promise<void> {
    await this.#went?.catch(() => undefined);
    await this.#session.client.query("rollback to savepoint part; release savepoint part");
  }

  /** Something is to be looked up in a log that has yet to be filled. */
  get #waits(): boolean {
    return this.#session.gate.lags && this.#looked.length > 0;
  }

  get #looked(): readonly ChangeSet[] {
    return this.sets.filter((set) => unjudged(this.#session, set) !== null);
  }

  /** The savepoint stays until the end of the transaction, or `undo`. */
  #ask(go: pg.ClientBase): Promise<unknown>[] {
    const opened = [go.query("savepoint part"), go.query("set constraints all deferred")];
    this.#missed = this.sets.map((set) => applySet({ client: go }, set));
    return [...opened, ...this.#missed, ...(this.#waits ? [] : this.#askAfterwards(go))];
  }

  #askAfterwards(go: pg.ClientBase): Promise<unknown>[] {
    const session = { ...this.#session, client: go };
    this.#found = this.#looked.map((set) => changedHere(session, set, set.changes));
    this.#lacking = askWhatIsThere(session, this.sets);
    this.#end = go.query("set constraints all immediate");
    return [...this.#found, ...this.#lacking, this.#end];
  }
}
