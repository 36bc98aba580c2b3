import type { ApplySession, JudgedMeanwhile } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ownOrOffered } from "./concurrent-changes.ts";
import { ident } from "./identifier.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { columnNamed } from "./set-statements.ts";

const NOTHING: JudgedMeanwhile = { split: async (clear) => ({ clear, unclear: [] }) };

/** `before`: `PacketHeader.seen` of the last packet applied. */
export async function judgedMeanwhile(
  session: Pick<ApplySession, "client" | "peer" | "header" | "context" | "hstore">,
  tables: readonly IncomingTable[],
  before: { readonly [channel: string]: bigint },
): Promise<JudgedMeanwhile> {
  // a fill is the parent's rows as they are at the cut, whatever was judged before it
  if (session.context.from !== "parent" || session.header.kind === "fill") return NOTHING;
  const affected = new Map<CapturedTable, Range>();
  for (const { table, rule } of tables) {
    const range = { after: before[rule.channel] ?? 0n, upTo: session.header.seen[rule.channel] ?? 0n };
    if (rule.oneWay !== true && range.after < range.upTo && (await anyBetween(session, table, range))) affected.set(table, range);
  }
  if (affected.size === 0) return NOTHING;
  return {
    async split(changes) {
      const unclear = new Set<IncomingChange>();
      for (const [table, range] of affected) {
        const own = changes.filter((incoming) => incoming.table.table === table);
        if (own.length > 0) for (const incoming of await touchedToo(session, table, range, own)) unclear.add(incoming);
      }
      return { clear: changes.filter((incoming) => !unclear.has(incoming)), unclear: [...unclear] };
    },
  };
}

interface Range {
  readonly after: bigint;
  readonly upTo: bigint;
}

type Access = Pick<ApplySession, "client" | "peer" | "hstore">;

/** Parameters: table id, peer id, the two positions. */
const BETWEEN = `
    with cut as (select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as after,
                        (select snapshot from tombolo.tick where position >= $4::bigint order by position limit 1) as up_to),
         own as materialized (
           select c.key, c.op, c.new, c.target is not null as offered from cut, tombolo.change c
            where c.table_id = $1::int and ${ownOrOffered("$2")}
              and c.xid >= pg_snapshot_xmin(cut.after) and c.xid < pg_snapshot_xmax(cut.up_to)
              and not pg_visible_in_snapshot(c.xid, cut.after) and pg_visible_in_snapshot(c.xid, cut.up_to))`;

async function anyBetween(access: Access, table: CapturedTable, range: Range): Promise<boolean> {
  const { rows } = await access.client.query<{ any: string }>({
    name: "tombolo_judged_any",
    text: `${BETWEEN.replace("materialized", "not materialized")} select exists (select from own) as any`,
    values: [table.id, access.peer.id, range.after.toString(), range.upTo.toString()],
  });
  return rows[0]?.any === "t";
}

async function touchedToo(
  access: Access,
  table: CapturedTable,
  range: Range,
  changes: readonly IncomingChange[],
): Promise<IncomingChange[]> {
  const { hstore } = access;
  const keys = table.key.map((name) => columnNamed(table, name));
  const arrays = keys.map((_, index) => `$${index + 5}::text[]`).join(", ");
  const names = keys.map((_, index) => `a${index}`).join(", ");
  const key = keys.map((column, index) => `${typed(`a${index}`, column)} as ${ident(column.name)}`).join(", ");
  const { rows } = await access.client.query({
    text: `${BETWEEN}, told as materialized (
        select ord, (select ${hstore}.hstore(r.*) from (select ${key}) as r) as key from unnest(${arrays}) with ordinality as u(${names}, ord))
      select told.ord, own.op, to_json(${hstore}.akeys(own.new))::text, own.offered from own join told on own.key operator(${hstore}.=) told.key`,
    values: [
      table.id,
      access.peer.id,
      range.after.toString(),
      range.upTo.toString(),
      ...table.key.map((name) => textArray(changes.map((incoming) => incoming.key[name] ?? null))),
    ],
    rowMode: "array",
  });
  const unclear = new Set<IncomingChange>();
  for (const [ordinal, op, columns, offered] of rows as [string, string, string | null, string][]) {
    const incoming = changes[Number(ordinal) - 1] as IncomingChange;
    const apart =
      op === "U" && incoming.change.op === "U" && !(JSON.parse(columns ?? "[]") as string[]).some((name) => name in (incoming.new ?? {}));
    // what was offered and differed, the parent has told; what it had deleted by then, it has taken for new
    if (offered === "t" ? incoming.new === null : !apart) unclear.add(incoming);
  }
  return [...unclear];
}
