import type { ConflictRule } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import { byTable, type IncomingChange } from "./incoming.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Gives the log entries that applying these changes made the time at which a person made the change, by this node's clock, instead
 * of the time of applying: `newest_wins` compares it with the next child's. Other policies never look at it.
 */
export async function stampOriginalTimes(session: ApplySession, changes: readonly IncomingChange[]): Promise<void> {
  const { clockOffsetMs } = session.context;
  if (!session.peer.forwards || clockOffsetMs === null) return;
  const tables = byTable(changes.filter(({ table }) => comparesTimes(table.rule)));
  const { hstore, client } = session;
  for (const [table, own] of tables) {
    const keys = table.key.map((name) => columnNamed(table, name));
    const arrays = keys.map((_, index) => `$${index + 3}::text[]`).join(", ");
    const names = keys.map((_, index) => `a${index}`).join(", ");
    const key = keys.map((column, index) => `${typed(`a${index}`, column)} as ${ident(column.name)}`).join(", ");
    const told = `with x as materialized (
          select (select ${hstore}.hstore(r.*) from (select ${key}) as r) as key, at from unnest($2::text[], ${arrays}) as u(at, ${names}))`;
    await client.query({
      // a slot has yet to log what was applied: what is told here comes out of it with that
      text: session.gate.lags
        ? `${told} insert into tombolo.slot_stamp (table_id, key, changed_at) select $1::int, x.key, to_timestamp(x.at::float8) from x`
        : `${told} update tombolo.change c set changed_at = to_timestamp(x.at::float8) from x
            where c.xid = pg_current_xact_id() and c.table_id = $1::int and c.target is null and c.key operator(${hstore}.=) x.key`,
      values: [
        table.id,
        textArray(own.map(({ change }) => String((change.changedAt - Math.round(clockOffsetMs * 1000)) / 1e6))),
        ...table.key.map((name) => textArray(own.map((incoming) => incoming.key[name] ?? null))),
      ],
    });
  }
  if (session.gate.lags && tables.size > 0) await client.query("delete from tombolo.slot_stamp");
}

const comparesTimes = ({ policy, otherwise }: ConflictRule): boolean =>
  policy === "newest_wins" || policy === "module" || (policy === "merge" && otherwise === "newest_wins");
