import type pg from "pg";
import type { Position, TableName } from "../../change/names.ts";
import type { ConflictCount, PacketHeader } from "../../change/packet.ts";
import type { RowText } from "../../change/value.ts";
import type { Clash, Verdict } from "../../change/verdict.ts";
import type { ReferredRows } from "../references.ts";
import type { ApplyContext } from "../target.ts";
import type { ApplyGate } from "./apply-gate.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { LogEntry } from "./concurrent-changes.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";

/** The peer whose changes are being applied, as locked by the applying transaction. */
export interface ApplyingPeer {
  readonly id: number;
  readonly name: string;
  /** Others read what is applied from it. */
  readonly forwards: boolean;
}

/** What one applying transaction shares: the connection, who sent what, and what came of it. */
export interface ApplySession {
  readonly client: pg.ClientBase;
  readonly peer: ApplyingPeer;
  readonly header: PacketHeader;
  readonly context: ApplyContext;
  /** Quoted schema of the hstore extension. */
  readonly hstore: string;
  readonly outcome: Outcome;
  /** To be asked before the log is. */
  readonly gate: ApplyGate;
  readonly locksAhead: LocksAhead;
  /** Under the replica's role: triggers of applications and foreign keys do nothing. */
  readonly quiet: boolean;
  /** `table\0key` of every change of this peer that is parked. */
  readonly blocked: Set<string>;
  /** Rows that are not here because the child's insert is parked (as in `blocked`): what refers to them waits, too. */
  readonly waiting: ReferredRows<string>;
  /** Changes that were parked before, with what their sender knew of this node's log when it made them. */
  readonly late: Map<IncomingChange, Position>;
  readonly judgedMeanwhile: JudgedMeanwhile;
  /** What was asked ahead: see `lookAhead`. */
  readonly looked: WeakMap<IncomingChange, Looked>;
  readonly scope: RowScope;
  /** Where the packet is one small part, how its sets are said; null for others. */
  readonly atOnce: SaidAtOnce | null;
  /** `PacketHeader.seen` of the packet before. */
  readonly lastSeen: PacketHeader["seen"];
}

/** Why sets could not be applied as they are. */
export interface Failure {
  readonly error: unknown;
  /** Found by a deferred constraint when all was done. */
  readonly atEnd: boolean;
}

/** What did not fit, set by set; or why the database refused any of it, and nothing of it was done. */
export type AtOnceDone = { readonly unfit: readonly (readonly IncomingChange[])[] } | Failure;

/** How the sets of a packet that is one small part are said: see `AtOnce`. */
export interface SaidAtOnce {
  readonly sets: readonly unknown[];
  /** Null, with nothing done, when it has to be done step by step. Throws what is not about rows. */
  done(): Promise<AtOnceDone | null>;
}

/**
 * This node's own changes that its parent judged between the last packet and this one, and so somewhere among what the packet
 * tells; it leaves them out as echoes, and does not say where. What it says about the same columns may be older or newer than
 * this node's row: such rows are asked for.
 */
export interface JudgedMeanwhile {
  /** Splits changes into those that may be applied and those whose row must be asked for. */
  split(changes: readonly IncomingChange[]): Promise<{ clear: readonly IncomingChange[]; unclear: readonly IncomingChange[] }>;
}

/** What judging a change takes. */
export interface Looked {
  /** As this node prints it, and the same as the log's text. */
  readonly key: TextRow;
  readonly canonical: string;
  readonly before: TextRow | null;
  readonly after: TextRow | null;
  /** Locked; null where there is none. */
  readonly row: TextRow | null;
  /** Of a row that is there, newest first. */
  readonly entries: readonly LogEntry[];
  /** What was decided of it already, where it was then left to be carried out by itself. */
  readonly decided?: { readonly clash: Clash; readonly verdict: Verdict };
}

/** See `LockOrder`. */
export interface LocksAhead {
  lock(session: ApplySession, changes: readonly IncomingChange[]): Promise<void>;
}

/** The rows that the peer, a child, may write: those that it is given (see `Scopes`). */
export interface RowScope {
  /** Splits changes into those whose images show that the row is the child's, before and after, and those whose row must be looked at. */
  split(changes: readonly IncomingChange[]): Promise<{ inside: readonly IncomingChange[]; others: readonly IncomingChange[] }>;
  /** What the child can have known of a row: null where it was not the child's. */
  known(table: CapturedTable, row: TextRow | null): Promise<TextRow | null>;
  /** Judges, where the parent's row and what would become of it are the child's; refuses the change otherwise. */
  judge(table: CapturedTable, clash: Clash, judge: (clash: Clash) => Verdict | Promise<Verdict>): Promise<Verdict>;
}

export class Outcome {
  readonly applied = { insert: 0, update: 0, delete: 0, truncate: 0, refresh: 0 };
  parked = 0;
  /** Tables with sequences that may have to move. */
  readonly inserted = new Set<CapturedTable>();
  readonly wanted: { table: TableName; key: RowText }[] = [];
  readonly #conflicts = new Map<string, ConflictCount>();

  conflict(table: TableName, kind: string, resolution: string): void {
    const id = `${table}\0${kind}\0${resolution}`;
    const count = (this.#conflicts.get(id)?.count ?? 0) + 1;
    this.#conflicts.set(id, { table, kind, resolution, count });
  }

  get conflicts(): ConflictCount[] {
    return [...this.#conflicts.values()];
  }

  count(op: string, changes: number): void {
    if (op === "I") this.applied.insert += changes;
    else if (op === "U") this.applied.update += changes;
    else if (op === "D") this.applied.delete += changes;
    else if (op === "R") this.applied.refresh += changes;
    else this.applied.truncate += changes;
  }

  /** For work that may be undone: puts everything back to how it is now. */
  checkpoint(): () => void {
    const applied = { ...this.applied };
    const { parked } = this;
    const wanted = this.wanted.length;
    const conflicts = new Map(this.#conflicts);
    return () => {
      Object.assign(this.applied, applied);
      this.parked = parked;
      this.wanted.length = wanted;
      this.#conflicts.clear();
      for (const [id, count] of conflicts) this.#conflicts.set(id, count);
    };
  }
}

export const blockedBy = (table: TableName, key: RowText): string => `${table}\0${key}`;

const names = new Map<string, string>();

/** Runs a statement prepared once per connection; answers arrays of texts. */
export async function prepared(client: pg.ClientBase, text: string, values: readonly unknown[]): Promise<(string | null)[][]> {
  let name = names.get(text);
  if (name === undefined) {
    name = `tombolo_${names.size}`;
    names.set(text, name);
  }
  const result = await client.query({ name, text, values: values as unknown[], rowMode: "array" });
  return result.rows as (string | null)[][];
}

export const keyTexts = (table: CapturedTable, row: { readonly [column: string]: string | null }): (string | null)[] =>
  table.key.map((name) => row[name] ?? null);
