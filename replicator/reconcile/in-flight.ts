import { type Position, position, START } from "../change/names.ts";
import type { Tick } from "../node/change-log.ts";
import type { KeyText } from "../node/digest.ts";
import type { ComparedLink, ComparedParent, NewsRequest } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import type { Cuts } from "./cuts.ts";

/** Rows of one table of which one node knows something that the other had not heard at its cut; `all` after a truncate. */
export type InFlight = ReadonlySet<KeyText> | "all";

/** Groups of a log are read in pieces of this size. */
const GROUP = { maxRows: 5_000, maxBytes: 4 << 20 };
/** Of parked changes. */
const MOST_PARKED = 100_000;

/**
 * Which rows may differ because news of them are under way: what the logs hold between the cut of one node and what the other had applied at its own
 * cut. No other rows may: up to these places each node has applied what the other had logged. Of `wanted`, only keys that somebody asks for are kept.
 */
export async function inFlight(
  { parent, child }: ComparedLink,
  tables: readonly ComparedTable[],
  options: { readonly cuts: Cuts; readonly wanted: ReadonlyMap<ComparedTable, ReadonlySet<KeyText>> },
): Promise<ReadonlyMap<ComparedTable, InFlight>> {
  const found = new Map<ComparedTable, Set<KeyText> | "all">();
  const note = (table: ComparedTable, key: KeyText | null): void => {
    const known = found.get(table) ?? new Set<KeyText>();
    if (known === "all") return;
    if (key !== null && options.wanted.get(table)?.has(key) === true) known.add(key);
    found.set(table, key === null ? "all" : known);
  };
  const { cuts } = options;
  const sides = [
    { source: parent, reader: child, cut: cuts.parent, seen: cuts.child.seen[parent.name], side: "down", key: "parent" },
    { source: child, reader: parent, cut: cuts.child, seen: cuts.parent.seen[child.name], side: "up", key: "child" },
  ] as const;
  for (const { source, reader, cut, seen, side, key } of sides) {
    const other = side === "down" ? "up" : "down";
    const travelling = tables.filter(({ direction }) => direction !== other);
    for (const [places, some] of byWindow(travelling, { cut, seen: seen ?? {}, side })) {
      const [after, upTo] = places.split(" ").map((place) => position(place)) as [Position, Position];
      const wanted = new Map(some.map((one) => [one.name, options.wanted.get(one) ?? new Set<KeyText>()]));
      await readKeys(source, reader, { tables: some, after, upTo, wanted }, (table, text) =>
        note(table, text === "" ? null : table.keyOf[key](text)),
      );
    }
  }
  return found;
}

/** Tables whose windows are the same are read together. */
function byWindow(
  tables: readonly ComparedTable[],
  { cut, seen, side }: { readonly cut: Tick; readonly seen: { readonly [channel: string]: Position }; readonly side: "down" | "up" },
): ReadonlyMap<string, readonly ComparedTable[]> {
  const windows = new Map<string, ComparedTable[]>();
  for (const table of tables) {
    const applied = seen[table.channel] ?? START;
    const ahead = table.ahead[side];
    const heard = ahead !== null && ahead > applied ? ahead : applied;
    if (heard === cut.position) continue;
    // a child whose cut came later may have heard more than the parent knew at its own
    const places = heard < cut.position ? `${heard} ${cut.position}` : `${cut.position} ${heard}`;
    windows.set(places, [...(windows.get(places) ?? []), table]);
  }
  return windows;
}

async function readKeys(
  source: Pick<ComparedParent, "log">,
  reader: Pick<ComparedParent, "name">,
  window: { readonly tables: readonly ComparedTable[] } & Pick<NewsRequest, "after" | "upTo" | "wanted">,
  told: (table: ComparedTable, key: string) => void,
): Promise<void> {
  const { tables, ...where } = window;
  const request = { reader: reader.name, tables: tables.map(({ name }) => name), ...where, ...GROUP };
  for await (const group of source.log.read(request)) {
    for (const change of group) told(tables[change.table] as ComparedTable, change.op === "T" ? "" : change.key);
  }
}

/** Rows that one of the nodes has set aside, or has asked the other for: they differ, and are known to. */
export async function setAside({ parent, child }: ComparedLink, table: ComparedTable): Promise<ReadonlySet<KeyText>> {
  const [above, below, state] = await Promise.all([
    parent.parked.list({ peer: child.name, table: table.name, limit: MOST_PARKED }),
    child.parked.list({ peer: parent.name, table: table.name, limit: MOST_PARKED }),
    child.target.peer(parent.name),
  ]);
  const keys = new Set<KeyText>();
  // keys are as their senders gave them
  for (const { op, key } of above) if (op !== "T") keys.add(table.keyOf.child(JSON.stringify(key)));
  for (const { op, key } of below) if (op !== "T") keys.add(table.keyOf.parent(JSON.stringify(key)));
  for (const wanted of state.wanted) if (wanted.table === table.name) keys.add(table.keyOf.parent(wanted.key));
  return keys;
}
