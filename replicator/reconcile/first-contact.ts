import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import { scopedTables } from "../link/flow.ts";
import type { DigestSnapshot, DigestTable } from "../node/digest.ts";
import { compareTable } from "../node/digest-compare.ts";
import { type DigestPair, digestPair } from "../node/digest-pair.ts";
import type { Direction } from "../topology/topology.ts";
import type { DirectLink } from "./compared-link.ts";
import { atCuts } from "./cuts.ts";

/** A table that two databases both hold rows of before anything has travelled between them. Counts are of rows. */
export interface FirstContact {
  readonly table: TableName;
  readonly direction: Direction;
  readonly equal: number;
  readonly differing: number;
  /** Of those that the child would be given. */
  readonly onlyParent: number;
  readonly onlyChild: number;
  /** The table is large, and these are the counts of its beginning. */
  readonly isPartial: boolean;
}

/** For all tables of a link together: beyond this, what has been counted is told. */
const BUDGET_MS = 30_000;

/**
 * What the first contact of a link will find, table by table: only those that no row has travelled of yet and that the child holds rows of. Nothing is
 * written. Tables that cannot be compared are left out: what is wrong with them shows elsewhere. Throws `NOT_INSTALLED` or `NODE_NOT_INSTALLED` (operator).
 */
export async function firstContact(ends: DirectLink, { budgetMs = BUDGET_MS } = {}): Promise<readonly FirstContact[]> {
  const { parent, child, link, topology } = ends;
  const [below, above] = await Promise.all([child.target.peer(parent.name), parent.target.peer(child.name)]);
  const wanted = new Map(scopedTables(ends).map((table) => [table.name, table.wanted]));
  const until = performance.now() + budgetMs;
  const found: FirstContact[] = [];
  for (const { name: channel, direction } of link.channels) {
    for (const { name } of topology.channels.find((candidate) => candidate.name === channel)?.tables ?? []) {
      if (below.tables.has(name) || above.tables.has(name)) continue;
      const [[parentShape], [childShape]] = await Promise.all([parent.log.shapes([name]), child.log.shapes([name])]);
      if (parentShape === undefined || childShape === undefined) continue;
      try {
        const pair = digestPair(parentShape, childShape, { filter: wanted.get(name) ?? null, near: true });
        const counts = await counted(ends, pair, until);
        if (counts !== null) found.push({ table: name, direction, ...counts });
      } catch (error) {
        if (!(error instanceof TomboloError) || error.kind === "connect") throw error;
      }
    }
  }
  return found;
}

type Counts = Omit<FirstContact, "table" | "direction">;

async function counted(ends: DirectLink, pair: DigestPair, until: number): Promise<Counts | null> {
  return atCuts(ends, [{ pair }], async (opened) => {
    // most children begin empty, below parents that may be large
    if (await isEmpty(opened.child, pair.child)) return null;
    let [rows, differing, onlyParent, onlyChild] = [0, 0, 0, 0];
    let isPartial = false;
    for await (const step of compareTable({ ...opened, table: 0, order: pair.parent.order })) {
      rows += step.parentRows;
      for (const difference of step.differences) {
        if (difference.parent === null) onlyChild += 1;
        else if (difference.child === null) onlyParent += 1;
        else differing += 1;
      }
      isPartial = step.upTo !== null && performance.now() > until;
      if (isPartial) break;
    }
    return { equal: rows - differing - onlyParent, differing, onlyParent, onlyChild, isPartial };
  });
}

async function isEmpty(snapshot: DigestSnapshot, { order }: DigestTable): Promise<boolean> {
  if (order === "hash") return (await snapshot.buckets(0, 0)).length === 0;
  const everything = { from: null, to: null };
  // a bound is behind a row: none where there is one row at most
  if ((await snapshot.bounds(0, everything, { rows: 1, count: 1 })).length > 0) return false;
  return (await snapshot.digests(0, [everything])).every(({ rows }) => rows === 0);
}
