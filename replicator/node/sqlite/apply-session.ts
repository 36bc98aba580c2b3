import type { Position, TableName } from "../../change/names.ts";
import type { ConflictCount, PacketHeader, Receipt } from "../../change/packet.ts";
import type { RowText } from "../../change/value.ts";
import type { ReferredRows } from "../references.ts";
import type { ApplyContext } from "../target.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { IncomingChange } from "./incoming.ts";
import type { JudgedMeanwhile } from "./judged-meanwhile.ts";
import type { RowScope } from "./row-scope.ts";
import { prepared } from "./rows.ts";
import type { Unjudged } from "./unjudged.ts";

/** What one applying transaction shares: the connection, who sent what, and what came of it. */
export interface ApplySession {
  readonly connection: Connection;
  readonly peer: { readonly id: number; readonly name: string /** Others read what is applied from it. */; readonly forwards: boolean };
  readonly header: PacketHeader;
  readonly context: ApplyContext;
  readonly clock: Clock;
  readonly outcome: Outcome;
  /** The captured tables by local name in lower case. */
  readonly captured: ReadonlyMap<string, CapturedTable>;
  /** `table\0key` of every change of this peer that is parked. */
  readonly blocked: Set<string>;
  /** Rows that are not here because the child's insert is parked (as in `blocked`): what refers to them waits, too. */
  readonly waiting: ReferredRows<string>;
  /** Changes that were parked before, with what their sender knew of this node's log when it made them. */
  readonly late: Map<IncomingChange, Position>;
  readonly judgedMeanwhile: JudgedMeanwhile;
  readonly unjudged: Unjudged;
  readonly scope: RowScope;
  /** What tombolo_local says now; milliseconds. */
  readonly mark: { changedAt: number | null };
}

type Applied = { -readonly [op in keyof Receipt["applied"]]: number };

export class Outcome {
  readonly applied: Applied = { insert: 0, update: 0, delete: 0, truncate: 0, refresh: 0 };
  readonly wanted: { table: TableName; key: RowText }[] = [];
  readonly #conflicts = new Map<string, ConflictCount>();
  parked = 0;

  conflict(table: TableName, kind: string, resolution: string): void {
    const id = `${table}\0${kind}\0${resolution}`;
    const count = (this.#conflicts.get(id)?.count ?? 0) + 1;
    this.#conflicts.set(id, { table, kind, resolution, count });
  }

  get conflicts(): ConflictCount[] {
    return [...this.#conflicts.values()];
  }

  count(op: string): void {
    if (op === "I") this.applied.insert += 1;
    else if (op === "U") this.applied.update += 1;
    else if (op === "D") this.applied.delete += 1;
    else if (op === "R") this.applied.refresh += 1;
    else this.applied.truncate += 1;
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

/** Marks the transaction as the applier's, for the capture triggers (see tombolo_local). */
export function beginApplying(connection: Connection, peer: ApplySession["peer"]): void {
  prepared(connection, "update tombolo_local set applying_peer = ?, skip = ?").run(peer.id, peer.forwards ? 0n : 1n);
}

export function endApplying(connection: Connection): void {
  prepared(connection, "update tombolo_local set applying_peer = null, changed_at = null, skip = 0").run();
}

/**
 * What is logged for other readers keeps the time when a person made the change, by this node's clock, for `newest_wins` to compare; in
 * milliseconds, which neighbours often share. Where the clocks cannot be compared it is the time of applying.
 */
export function setChangedAt(session: ApplySession, microseconds: number): void {
  const { clockOffsetMs } = session.context;
  if (!session.peer.forwards || clockOffsetMs === null) return;
  const milliseconds = Math.floor(microseconds / 1000 - clockOffsetMs);
  if (session.mark.changedAt === milliseconds) return;
  session.mark.changedAt = milliseconds;
  prepared(session.connection, "update tombolo_local set changed_at = ?").run(isoTime(milliseconds));
}
