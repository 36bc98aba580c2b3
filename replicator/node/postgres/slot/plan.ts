import pg from "pg";
import type { Finding, Step, WantedTable } from "../../installation.ts";
import { ident, qualified } from "../identifier.ts";
import type { Queryable, Relation } from "../shape.ts";
import { PUBLICATION, slotName } from "./names.ts";
import { lossOf, type SlotState, slotState } from "./slot-state.ts";

/** What of a slot's capture is there. */
export interface SlotInstalled {
  /** Of the node, whether it is there or not. */
  readonly slot: string;
  /** The slot is on the server. */
  readonly exists: boolean;
  /** tombolo.slot; null before the first. */
  readonly state: SlotState | null;
  /** Tables of the publication as `schema.table`; null where there is none. */
  readonly published: readonly string[] | null;
  /** By oid: `pg_class.relreplident`, and for `i` the name of the index after it. */
  readonly identities: ReadonlyMap<string, string>;
  /** The server's version, as in 180004. */
  readonly version: number;
}

const OWN_TABLES = ["captured_table", "peer", "slot_mark", "slot_stamp"].map((name) => ({ schema: "tombolo", name }));

export async function readSlotInstalled(client: Queryable, node: string, relations: readonly Relation[]): Promise<SlotInstalled> {
  const { rows } = await client.query<{ found: string }>(
    `select json_build_object('version', current_setting('server_version_num')::int, 'database', (select oid::text from pg_database where datname = current_database()),
              'table', to_regclass('tombolo.slot') is not null,
              'publication', exists (select from pg_publication where pubname = $1),
              'published', (select coalesce(json_agg(schemaname || '.' || tablename), '[]') from pg_publication_tables where pubname = $1),
              'identities', (select coalesce(json_object_agg(c.oid::text, c.relreplident::text || coalesce((select x.relname::text from pg_index i join pg_class x on x.oid = i.indexrelid
                               where i.indrelid = c.oid and i.indisreplident and c.relreplident = 'i'), '')), '{}') from pg_class c where c.oid = any ($2::oid[])))::text as found`,
    [PUBLICATION, `{${relations.map(({ oid }) => oid).join(",")}}`],
  );
  const found = JSON.parse(rows[0]?.found ?? "{}") as {
    database: string;
    table: boolean;
    publication: boolean;
    published: string[];
    identities: { [oid: string]: string };
    version: number;
  };
  const state = found.table ? await slotState(client) : null;
  const slot = state?.slot ?? slotName(found.database, node);
  const { rows: slots } = await client.query("select from pg_replication_slots where slot_name = $1", [slot]);
  return {
    slot,
    exists: slots.length > 0,
    state,
    published: found.publication ? found.published : null,
    identities: new Map(Object.entries(found.identities)),
    version: found.version,
  };
}

const literal = (value: string): string => pg.escapeLiteral(value);

/** Whole old rows, and the table in the publication: in this order, so that nothing is published without them. */
export function slotTableSteps(wanted: WantedTable, relation: Relation, installed: SlotInstalled): Step[] {
  const on = qualified(relation.schema, relation.name);
  const identity = installed.identities.get(relation.oid) ?? "d";
  if (identity === "f") return [];
  const sql =
    `update tombolo.captured_table set identity_before = ${literal(identity)} where table_name = ${literal(wanted.table)} and identity_before is null;\n` +
    `alter table ${on} replica identity full;`;
  return [{ action: "change", object: `replica identity of ${relation.schema}.${relation.name}`, sql }];
}

export function publicationSteps(relations: readonly Relation[], installed: SlotInstalled): Step[] {
  const wanted = [...OWN_TABLES, ...relations];
  const sqlName = ({ schema, name }: { schema: string; name: string }): string => qualified(schema, name);
  if (installed.published === null) {
    // otherwise a table with such a column could not be updated any more, because its old row would not be whole
    const generated = installed.version >= 180000 ? " with (publish_generated_columns = stored)" : "";
    const sql = `create publication ${ident(PUBLICATION)} for table ${wanted.map(sqlName).join(", ")}${generated};`;
    return [{ action: "create", object: `publication ${PUBLICATION}`, sql }];
  }
  const published = new Set(installed.published);
  const missing = wanted.filter(({ schema, name }) => !published.delete(`${schema}.${name}`)).map(sqlName);
  const gone = [...published].map((name) => qualified(name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)));
  const statements = [
    ...(missing.length > 0 ? [`alter publication ${ident(PUBLICATION)} add table ${missing.join(", ")};`] : []),
    ...(gone.length > 0 ? [`alter publication ${ident(PUBLICATION)} drop table ${gone.join(", ")};`] : []),
  ];
  return statements.length === 0 ? [] : [{ action: "change", object: `publication ${PUBLICATION}`, sql: statements.join("\n") }];
}

/** Why a slot that is there is of no use any more; null for one that is. */
export const slotLoss = ({ state }: SlotInstalled): string | null =>
  state === null ? null : state.state === "lost" ? (state.reason ?? "") : lossOf(state, null);

/** Made outside of a transaction, after the publication: what is decoded later must find it. */
export function slotSteps(installed: SlotInstalled): Step[] {
  const create = `select pg_create_logical_replication_slot(${literal(installed.slot)}, 'pgoutput');`;
  const step = (action: Step["action"], sql: string): Step => ({ action, object: `replication slot ${installed.slot}`, sql });
  if (slotLoss(installed) !== null) {
    return [step("change", installed.exists ? `select pg_drop_replication_slot(${literal(installed.slot)});\n${create}` : create)];
  }
  return installed.exists ? [] : [step("create", create)];
}

/**
 * From here on the slot captures: runs in the transaction that drops the triggers, and so holds locks that no writer's transaction
 * shares. What was committed before is in the log by the triggers; what is committed later comes from the slot.
 */
export function handoverSteps(installed: SlotInstalled, triggers: readonly Step[]): Step[] {
  const loss = slotLoss(installed);
  if (installed.state !== null && loss === null) return [...triggers];
  const values = `select ${literal(installed.slot)} as slot_name, ${literal(PUBLICATION)} as publication, n.system_identifier,
       ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer as timeline, pg_current_wal_insert_lsn() as end_lsn
  from tombolo.node as n`;
  const columns = "slot_name, publication, system_identifier, timeline, end_lsn";
  const sql = [
    ...triggers.map((step) => step.sql),
    "delete from tombolo.slot;",
    `insert into tombolo.slot (${columns})\n${values};`,
    ...(loss === null
      ? []
      : [
          "update tombolo.captured_table set state = 'must_compare', reason = 'SLOT_LOST';",
          `update tombolo.peer set state = 'must_resync', reason = ${literal(loss)};`,
        ]),
  ].join("\n");
  const from = triggers.length > 0 ? `capture from the slot instead of ${triggers.length} triggers` : "capture from the slot";
  return [{ action: "change", object: `${from} (in one transaction)`, sql }];
}

/** The cost of whole old rows, said once per plan. */
export function identityWarning(steps: readonly Step[]): Finding[] {
  const tables = steps.filter(({ object }) => object.startsWith("replica identity of")).length;
  if (tables === 0) return [];
  return [
    {
      severity: "warning",
      code: "SLOT_REPLICA_IDENTITY",
      message: `${tables} table(s) get replica identity full: every update and delete writes the whole old row to the server's log`,
      hint: "Where rows are wide and updated often, compare the cost with `capture: trigger`.",
    },
  ];
}

/** What takes a slot's capture away again; by then the triggers must capture, and the log must hold what came before them. */
export function leaveSteps(installed: SlotInstalled): Step[] {
  const steps: Step[] = [];
  if (installed.published !== null) {
    steps.push({ action: "drop", object: `publication ${PUBLICATION}`, sql: `drop publication ${ident(PUBLICATION)};` });
  }
  if (installed.state !== null) {
    steps.push({ action: "drop", object: "place in tombolo.slot from which the slot captures", sql: "delete from tombolo.slot;" });
  }
  return steps;
}

export function slotDropSteps(installed: SlotInstalled): Step[] {
  if (!installed.exists) return [];
  const sql = `select pg_drop_replication_slot(${literal(installed.slot)});`;
  return [{ action: "drop", object: `replication slot ${installed.slot}`, sql }];
}

/** The replica identity that the table had before. */
export function identityBackStep(relation: Relation, before: string): Step {
  const on = qualified(relation.schema, relation.name);
  const identity = { d: "default", n: "nothing", f: "full", i: `using index ${ident(before.slice(1))}` }[
    before[0] as "d" | "n" | "f" | "i"
  ];
  const sql =
    `alter table ${on} replica identity ${identity};\n` +
    `update tombolo.captured_table set identity_before = null where relation = ${literal(on)}::regclass;`;
  return { action: "change", object: `replica identity of ${relation.schema}.${relation.name}`, sql };
}
