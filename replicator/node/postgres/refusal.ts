import type pg from "pg";
import type { Op } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type CapturedTable, columnNames } from "./captured-tables.ts";
import { INDEX_COLUMNS } from "./constraints.ts";
import { qualified } from "./identifier.ts";
import * as state from "./sqlstate.ts";

/** Why a change was refused: a code of docs/errors.md and a sentence that names rules and columns, never values. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

interface ServerRefusal {
  readonly code?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly dataType?: string;
  readonly message?: string;
}

const CODES: { readonly [sqlstate: string]: string } = {
  [state.UNIQUE_VIOLATION]: "UNIQUE_VIOLATION",
  [state.EXCLUSION_VIOLATION]: "EXCLUSION_VIOLATION",
  [state.FOREIGN_KEY_VIOLATION]: "FOREIGN_KEY_VIOLATION",
  [state.CHECK_VIOLATION]: "CHECK_VIOLATION",
  [state.NOT_NULL_VIOLATION]: "NOT_NULL_VIOLATION",
};

const WHAT: { readonly [code: string]: string } = {
  UNIQUE_VIOLATION: "another row has the same value",
  EXCLUSION_VIOLATION: "it excludes another row",
  CHECK_VIOLATION: "the check refuses the row",
  NOT_NULL_VIOLATION: "the column must not be NULL",
};

/** What was refused. */
interface About {
  readonly op: Op;
  readonly table: CapturedTable;
}

/** The text of an application's own exception, which may quote anything, is for the parked change alone. */
export async function describe(session: { readonly client: pg.ClientBase }, error: unknown, about: About): Promise<Refusal> {
  if (error instanceof TomboloError) return { code: error.code, reason: error.message };
  const refusal = error as ServerRefusal;
  const { code: sqlstate = "UNKNOWN", table, constraint, column, dataType, message = "" } = refusal;
  if (sqlstate.startsWith(state.CLASS_PLPGSQL)) return { code: "TRIGGER_REFUSED", reason: message };
  const code = CODES[sqlstate];
  if (code === undefined) {
    return { code: `SQLSTATE_${sqlstate}`, reason: sqlstate.startsWith(state.CLASS_DATA) ? unquoted(message) : message };
  }
  const why = WHAT[code] ?? foreignKeyText(refusal, about);
  if (dataType !== undefined && table === undefined) return { code, reason: `${KIND[code]} of domain ${dataType}: ${why}` };
  const columns = column === undefined ? await columnsOf(session, refusal) : [column];
  const named = [KIND[code], constraint, columns.length > 0 ? `(${columns.join(", ")})` : undefined];
  const place = table === undefined ? "" : ` of ${refusal.schema === undefined ? "" : `${refusal.schema}.`}${table}`;
  return { code, reason: `${named.filter((part) => part !== undefined).join(" ")}${place}: ${why}` };
}

const KIND: { readonly [code: string]: string } = {
  UNIQUE_VIOLATION: "unique key",
  EXCLUSION_VIOLATION: "exclusion constraint",
  FOREIGN_KEY_VIOLATION: "foreign key",
  CHECK_VIOLATION: "check",
  NOT_NULL_VIOLATION: "column",
};

/** The server names the table that refers: it may be the one that the change is about, or another. */
function foreignKeyText({ schema, table }: ServerRefusal, about: About): string {
  const refers = about.op === "I" || (about.op === "U" && qualified(schema ?? "", table ?? "") === about.table.sql);
  return refers ? "the row that it refers to is not there" : "rows still refer to it";
}

/** Messages about a value quote it. */
const unquoted = (message: string): string => message.replaceAll(/ ?"[^"]*"/g, "").replace(/:\s*$/, "");

/** Asked once per transaction, as many changes may be refused by one rule. */
const known = new WeakMap<object, Map<string, string[]>>();

async function columnsOf(session: { readonly client: pg.ClientBase }, { schema, table, constraint }: ServerRefusal): Promise<string[]> {
  if (schema === undefined || table === undefined || constraint === undefined) return [];
  const asked = known.get(session) ?? new Map<string, string[]>();
  known.set(session, asked);
  const id = JSON.stringify([schema, table, constraint]);
  const columns = asked.get(id) ?? (await readColumns(session.client, schema, table, constraint));
  asked.set(id, columns);
  return columns;
}

async function readColumns(client: pg.ClientBase, schema: string, table: string, constraint: string): Promise<string[]> {
  const { rows } = await client.query<{ columns: string | null }>(
    `with t as (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2)
     select coalesce((select ${INDEX_COLUMNS} from pg_index i join t on t.oid = i.indrelid join pg_class x on x.oid = i.indexrelid and x.relname = $3
                       left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid and c.contype in ('p', 'u', 'x')),
                     (select ${columnNames("c.conrelid", "c.conkey")} from pg_constraint c join t on t.oid = c.conrelid where c.conname = $3))::text as columns`,
    [schema, table, constraint],
  );
  return JSON.parse(rows[0]?.columns ?? "[]") as string[];
}

/** Refusals that another change may clear away: a value that is handed on, a row that is still to come. A check, or a value without a place, stays refused. */
export function mayPass(error: unknown): boolean {
  if (error instanceof TomboloError) return error.code === "FOREIGN_KEY_VIOLATION";
  const { code = "" } = error as ServerRefusal;
  return isShared(error) || code === state.FOREIGN_KEY_VIOLATION || code.startsWith(state.CLASS_PLPGSQL);
}

/** Refused because another row has what it wants. */
export function isShared(error: unknown): boolean {
  const { code } = error as ServerRefusal;
  return code === state.UNIQUE_VIOLATION || code === state.EXCLUSION_VIOLATION;
}
