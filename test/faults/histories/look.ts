import type { Place } from "../places.ts";
import { COLUMNS } from "./tables.ts";

/** All that a place has, by `table id`. */
export type Rows = ReadonlyMap<string, string>;

export async function rowsOf(place: Place, hasExtra: boolean): Promise<Rows> {
  const rows = new Map<string, string>();
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const all = table === "note" && hasExtra ? `${columns}, extra` : columns;
    for (const row of await place.rows(`select ${all} from ${table}`)) {
      rows.set(`${table} ${row[0]}`, JSON.stringify(row.map((value) => (value === null ? null : String(value)))));
    }
  }
  return rows;
}

/** What a place has otherwise than it should, in words. `shop`: of the tasks it is to have those of this one; null: all. */
export function differences({ name }: Place, has: Rows, { hub, shop }: { readonly hub: Rows; readonly shop: string | null }): string[] {
  const isForeign = (row: string): boolean =>
    shop !== null && row.startsWith("task ") && (JSON.parse(hub.get(row) ?? "[]") as string[])[2] !== shop;
  const due = (row: string): string | undefined => (isForeign(row) ? undefined : hub.get(row));
  return [...new Set([...has.keys(), ...hub.keys()])]
    .filter((row) => has.get(row) !== due(row))
    .map((row) => `${row}: ${name} has ${has.get(row) ?? "none"}, the hub ${hub.get(row) ?? "none"}`);
}

const isServer = ({ kind }: Place): boolean => kind === "hub" || kind === "replica";
/** Of what the product keeps, as its pages describe it. */
const prefix = (place: Place): string => (isServer(place) ? "tombolo." : "tombolo_");

export interface Parked {
  readonly place: Place;
  readonly id: string;
  readonly table: string;
  readonly op: string;
  readonly key: { readonly [column: string]: string };
  readonly new: { readonly [column: string]: string | null } | null;
  readonly code: string;
  readonly reason: string;
}

export async function parkedAt(place: Place): Promise<Parked[]> {
  const rows = await place.rows(
    `select cast(id as text), table_name, cast(op as text), cast(key as text), cast(new as text), code, reason from ${prefix(place)}parked_change order by id`,
  );
  return rows.map(([id, table, op, key, image, code, reason]) => ({
    ...{ place, id: String(id), op: String(op), code: String(code), reason: String(reason) },
    table: String(table).replace(/^public\./, ""),
    key: plain(String(key)) as Parked["key"],
    new: image === null ? null : plain(String(image)),
  }));
}

/** A SQLite's values stand with the letter of their class: `{"i": "14"}`. */
function plain(image: string): { readonly [column: string]: string | null } {
  const entries = Object.entries(JSON.parse(image) as object);
  return Object.fromEntries(
    entries.map(([column, value]) => [column, value !== null && typeof value === "object" ? Object.values(value)[0] : value]),
  );
}

const IMAGES = ["parent_row", "child_row", "base_row"];

/** Tokens in the images of the conflict history. */
export async function recordedAt(place: Place): Promise<string[]> {
  const images = IMAGES.map((image) => `cast(${image} as text)`).join(", ");
  const rows = await place.rows(`select ${images} from ${prefix(place)}conflict_history`);
  return rows.flat().flatMap((image) => [...String(image).matchAll(/"([a-z]+(?:-\w+)*:\d+)"/g)].map(([, token]) => token as string));
}

/** The newest entry of its log. */
export async function newestOf(place: Place): Promise<bigint> {
  return BigInt(String((await place.rows(`select coalesce(max(seq), 0) from ${prefix(place)}change`))[0]?.[0]));
}

/** Entries since, but for what was written on purpose: table, kind, key. */
export async function loggedSince(place: Place, seq: bigint): Promise<string[]> {
  const own = prefix(place);
  const rows = await place.rows(
    `select t.table_name, cast(c.op as text), cast(c.key as text), c.origin, c.target from ${own}change c join ${own}captured_table t on t.id = c.table_id
      where c.seq > ${seq} and t.table_name not like '%beat'`,
  );
  return rows.map(([table, op, ...rest]) => `${table} ${op} ${rest.join(" ")} (${place.name})`);
}
