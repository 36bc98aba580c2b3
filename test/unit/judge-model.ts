import type { Change } from "../../replicator/change/change.ts";
import { type FoldOptions, foldGroup } from "../../replicator/change/fold.ts";
import { type NodeName, nodeName, tableName } from "../../replicator/change/names.ts";
import { parseRow, type Row, rowText, sameValue } from "../../replicator/change/value.ts";
import type { Clash, ConflictRule, Judge } from "../../replicator/change/verdict.ts";

/**
 * A tree of nodes in memory that keeps the rules of `ChangeLog.read` and `Target.apply` to the letter, with one table of columns a and b.
 * It exists to try the protocol (echoes, held-back changes, verdicts, refreshes) in thousands of orders of events.
 */
export interface Rules {
  readonly rule: ConflictRule;
  readonly judge: Judge;
  /**
   * What keeps a reader from hearing another's change of a row last, after its own has replaced it: it gets its own changes that follow
   * others' (`replay`; a parent never does: it judges what it gets by the base), or a refresh after each of its changes that was applied over entries it had not seen (`refresh`),
   * or a child asks for the row as it is, where the packet that tells of its own change's judgement says something else about the same columns (`ask`, what the product does); or nothing does.
   */
  readonly echo: "replay" | "refresh" | "ask" | "nothing";
  /** Whether a child holds back what its parent says about columns that it has changed itself and the parent has not judged. */
  readonly holdBack: boolean;
  readonly fold: FoldOptions;
  /**
   * Where changes come into the log later than they are committed (`capture: slot`): who waits until it holds what is committed. A packet, so that
   * what it tells is as old as its `seen`; who judges by the log; and who puts a refresh into it, which must stand behind what it includes.
   * Undefined: changes are in the log at once.
   */
  readonly waits?: readonly ("packet" | "judge" | "refresh")[];
}

interface Entry {
  readonly op: "I" | "U" | "D" | "R";
  readonly key: string;
  readonly old: Row | null;
  readonly new: Row | null;
  readonly origin: NodeName | null;
  readonly target: NodeName | null;
  readonly changedAt: number;
}

export interface Packet {
  readonly source: ModelNode;
  readonly upTo: number;
  /** How much of the target's log the source had applied at `upTo`. */
  readonly seen: number;
  readonly changes: readonly Change[];
}

export interface HistoryRecord {
  readonly key: string;
  readonly parent: Row | null;
  readonly child: Row | null;
}

const differs = (a: Row | null, b: Row | null): boolean => rowKey(a) !== rowKey(b);
/** Whether the reader hears of the entry: not of its own changes, nor of others' refreshes. */
const isFor = ({ origin, target }: Entry, reader: NodeName): boolean => (target === null ? origin !== reader : target === reader);
const rowKey = (row: Row | null): string => JSON.stringify(row && Object.entries(row).sort(([x], [y]) => (x < y ? -1 : 1)));

export class ModelNode {
  readonly name: NodeName;
  readonly rows = new Map<string, Row>();
  readonly history: HistoryRecord[] = [];
  readonly #rules: Rules;
  readonly #log: Entry[] = [];
  /** Committed, and not in the log yet. */
  readonly #unlogged: Entry[] = [];
  /** What the packet that is being applied has changed: committed when it is done. */
  #applying: Entry[] | null = null;
  /** Position in the neighbour's log up to which it has been applied here. */
  readonly #received = new Map<NodeName, number>();
  /** `Packet.seen` of the last packet from the parent. */
  #judgedUpTo = 0;

  constructor(name: string, rules: Rules) {
    this.name = nodeName(name);
    this.#rules = rules;
  }

  get position(): number {
    return this.#log.length;
  }

  received(peer: NodeName): number {
    return this.#received.get(peer) ?? 0;
  }

  /** The oldest commit that is not in the log comes into it. */
  logOne(): void {
    const [entry] = this.#unlogged.splice(0, 1);
    if (entry !== undefined) this.#log.push(entry);
  }

  /** Whether everything that is committed is in the log. */
  get complete(): boolean {
    return this.#unlogged.length === 0;
  }

  #wait(who: "packet" | "judge" | "refresh"): void {
    if (this.#rules.waits?.includes(who)) while (!this.complete) this.logOne();
  }

  #commit(entry: Entry): void {
    if (this.#rules.waits === undefined) this.#log.push(entry);
    else (this.#applying ?? this.#unlogged).push(entry);
  }

  /** One transaction. */
  #apply(work: () => void): void {
    this.#applying = [];
    work();
    this.#unlogged.push(...this.#applying);
    this.#applying = null;
  }

  /** A person's write. */
  write(key: string, after: Row | null, changedAt: number): void {
    this.#set(key, after, { origin: null, changedAt });
  }

  /** Everything for `reader` since what it has received, cut into groups of at most `groupSize` and folded. */
  packet(reader: ModelNode, { groupSize, down }: { groupSize: number; down: boolean }): Packet {
    const others = new Set<string>();
    const changes: Change[] = [];
    const after = reader.received(this.name);
    this.#wait("packet");
    for (const entry of this.#log.slice(after)) {
      const { op, key, old, new: now, changedAt } = entry;
      if (entry.target !== null && entry.target !== reader.name) continue;
      if (!isFor(entry, reader.name) && !(down && this.#rules.echo === "replay" && others.has(key))) continue;
      others.add(key);
      changes.push({ table: 0, op, key, old: old && rowText(old), new: now && rowText(now), changedAt });
    }
    const folded: Change[] = [];
    for (let at = 0; at < changes.length; at += groupSize) folded.push(...foldGroup(changes.slice(at, at + groupSize), this.#rules.fold));
    return { source: this, upTo: this.position, seen: this.received(reader.name), changes: folded };
  }

  applyFromChild(packet: Packet, childOffset = 0): void {
    this.#apply(() => this.#judge(packet, childOffset));
  }

  #judge(packet: Packet, childOffset: number): void {
    const child = packet.source.name;
    for (const { op, key, old, new: now, changedAt } of packet.changes) {
      if (op === "R" || op === "T") continue;
      const parent = this.rows.get(key) ?? null;
      if (this.#fits(parent, { op, old, new: now })) {
        this.#set(key, op === "D" ? null : { ...parent, ...parseRow(now ?? "{}") }, { origin: child, changedAt: changedAt - childOffset });
        continue;
      }
      this.#wait("judge");
      const entries = this.#since(packet.seen, key, child);
      const before = old === null ? null : parseRow(old);
      let known: Row | null = parent;
      for (const entry of entries) known = entry.op === "U" ? Object.assign({}, known, entry.old) : entry.old;
      const base = op === "I" ? null : { ...(op === "U" ? known : null), ...before };
      const image = op === "D" ? null : { ...base, ...(now === null ? null : parseRow(now)) };
      const clash: Clash = {
        table: tableName("t"),
        key: ["id"],
        op,
        base,
        child: image,
        wholeChild: image === null || ["a", "b"].every((column) => column in image),
        parent,
        changed: op === "U" ? Object.keys(parseRow(now ?? "{}")) : ["a", "b"],
        parentChangedAt: entries[0]?.changedAt ?? null,
        childChangedAt: changedAt - childOffset,
        parentNode: this.name,
        childNode: child,
        ...this.#rules.rule,
      };
      const verdict = this.#rules.judge(clash);
      this.#set(key, verdict.result, { origin: child, changedAt: changedAt - childOffset });
      if (verdict.conflict) this.history.push({ key, parent, child: image ?? base });
      const unseen = this.#log.slice(packet.seen).some((entry) => entry.key === key && isFor(entry, child));
      if (verdict.refresh || (this.#rules.echo === "refresh" && unseen)) this.refresh(child, key);
    }
    this.#received.set(child, packet.upTo);
  }

  applyFromParent(packet: Packet): void {
    const wanted: string[] = [];
    this.#apply(() => this.#obey(packet, wanted));
    for (const key of wanted) packet.source.refresh(this.name, key);
  }

  #obey(packet: Packet, wanted: string[]): void {
    const parent = packet.source.name;
    for (const { op, key, new: now, changedAt } of packet.changes) {
      const current = this.rows.get(key) ?? null;
      this.#wait("judge");
      const pending = this.#rules.holdBack ? this.#since(packet.seen, key, parent) : [];
      const after = now === null ? null : parseRow(now);
      const judged = this.#since(this.#judgedUpTo, key, parent).slice(this.#since(packet.seen, key, parent).length);
      const touches = (entry: Entry): boolean =>
        op !== "U" || entry.op !== "U" || Object.keys(entry.new ?? {}).some((column) => column in (after ?? {}));
      if (this.#rules.echo === "ask" && judged.some(touches)) {
        wanted.push(key);
      } else if (after === null) {
        if (pending.length === 0) this.#set(key, null, { origin: parent, changedAt });
      } else if (pending[0]?.op === "D") {
        // the parent judges the deletion first
      } else if (current === null) {
        if (op === "U") wanted.push(key);
        else this.#set(key, after, { origin: parent, changedAt });
      } else if (!pending.some((entry) => entry.op === "I")) {
        const mine = new Set(pending.flatMap((entry) => Object.keys(entry.new ?? {})));
        const open = Object.entries(after).filter(([column]) => !mine.has(column));
        this.#set(key, { ...current, ...Object.fromEntries(open) }, { origin: parent, changedAt });
      }
    }
    this.#received.set(parent, packet.upTo);
    this.#judgedUpTo = Math.max(this.#judgedUpTo, packet.seen);
  }

  /** The row as it is, with the time of its last change. */
  refresh(target: NodeName, key: string): void {
    this.#wait("refresh");
    const last = this.#log.findLast((entry) => entry.key === key && entry.target === null);
    this.#log.push({ op: "R", key, old: null, new: this.rows.get(key) ?? null, origin: null, target, changedAt: last?.changedAt ?? 0 });
  }

  /** Whether a child's change applies without a look at the log, as most do. */
  #fits(row: Row | null, { op, old, new: now }: Pick<Change, "op" | "old" | "new">): boolean {
    if (this.#rules.waits === undefined || op === "R" || op === "T") return false;
    if (op === "I") return row === null && now !== null;
    return row !== null && old !== null && Object.entries(parseRow(old)).every(([column, value]) => sameValue(row[column], value));
  }

  /** Newest first. */
  #since(position: number, key: string, exceptFrom: NodeName): Entry[] {
    const own = (entry: Entry): boolean => entry.key === key && entry.origin !== exceptFrom && entry.target === null;
    return this.#log.slice(position).filter(own).reverse();
  }

  /** Writes the row and what the capture would log; nothing for a write that changes nothing. */
  #set(key: string, after: Row | null, by: { origin: NodeName | null; changedAt: number }): void {
    const before = this.rows.get(key) ?? null;
    if (!differs(before, after)) return;
    if (after === null) this.rows.delete(key);
    else this.rows.set(key, after);
    const entry = { key, target: null, ...by };
    if (before === null || after === null) {
      this.#commit({ ...entry, op: before === null ? "I" : "D", old: before, new: after });
      return;
    }
    const { detect, groups } = this.#rules.rule;
    const whole = detect === "row" || groups.length > 0;
    const columns = Object.keys(after).filter((column) => whole || !sameValue(before[column], after[column]));
    const pick = (row: Row): Row => Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
    this.#commit({ ...entry, op: "U", old: pick(before), new: pick(after) });
  }
}

export interface ModelLink {
  readonly parent: ModelNode;
  readonly child: ModelNode;
}

/** Rounds of up, then down, over all links until nothing moves; throws when that takes too long. */
export function settle(links: readonly ModelLink[], groupSize: number): void {
  for (let round = 0; round < 40; round++) {
    let moved = 0;
    for (const { parent, child } of links) {
      const up = child.packet(parent, { groupSize, down: false });
      parent.applyFromChild(up);
      const down = parent.packet(child, { groupSize, down: true });
      child.applyFromParent(down);
      moved += up.changes.length + down.changes.length;
      for (const node of [parent, child]) {
        if (!node.complete) moved += 1;
        while (!node.complete) node.logOne();
      }
    }
    if (moved === 0) return;
  }
  throw new Error("the nodes never come to rest");
}

export const state = (node: ModelNode): unknown =>
  [...node.rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, row]) => [key, rowKey(row)]);
