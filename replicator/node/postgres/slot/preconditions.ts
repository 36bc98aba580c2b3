import type { Finding, WantedTable } from "../../installation.ts";
import { ident } from "../identifier.ts";
import type { Queryable, Relation } from "../shape.ts";

interface Facts {
  readonly walLevel: string;
  readonly slots: number;
  readonly slotsUsed: number;
  readonly senders: number;
  readonly sendersUsed: number;
  readonly role: string;
  readonly replicates: boolean;
  readonly creates: boolean;
  readonly database: string;
  readonly keep: string;
  readonly own: boolean;
}

const SELECT = `
  select json_build_object(
    'walLevel', current_setting('wal_level'),
    'slots', current_setting('max_replication_slots')::int, 'slotsUsed', (select count(*) from pg_replication_slots),
    'senders', current_setting('max_wal_senders')::int, 'sendersUsed', (select count(*) from pg_stat_activity where backend_type = 'walsender'),
    'role', current_user, 'replicates', (select rolreplication or rolsuper from pg_roles where rolname = current_user),
    'creates', has_database_privilege(current_database(), 'create'), 'database', current_database(),
    'keep', current_setting('max_slot_wal_keep_size'),
    'own', exists (select from pg_replication_slots where slot_name = $1))::text as facts`;

/** What the server or the role lacks for capturing from a slot, each with its remedy. `slot`: the node's. */
export async function slotFindings(client: Queryable, slot: string): Promise<Finding[]> {
  const { rows } = await client.query<{ facts: string }>(SELECT, [slot]);
  const facts = JSON.parse(rows[0]?.facts ?? "{}") as Facts;
  const found: Finding[] = [];
  const error = (code: string, message: string, hint: string): void => {
    found.push({ severity: "error", code, message, hint });
  };
  if (facts.walLevel !== "logical") {
    error("SLOT_WAL_LEVEL", `wal_level is ${facts.walLevel}, and a slot needs logical`, "Set wal_level = logical and restart the server.");
  }
  if (!facts.own && facts.slotsUsed >= facts.slots) {
    error(
      "SLOT_NONE_FREE",
      `all ${facts.slots} replication slots are in use`,
      "Raise max_replication_slots, or drop slots that nobody reads.",
    );
  }
  if (!facts.own && facts.sendersUsed >= facts.senders) {
    error("SLOT_NO_SENDER", `all ${facts.senders} walsenders are in use`, "Raise max_wal_senders.");
  }
  if (!facts.replicates) {
    error("SLOT_ROLE", `the role ${facts.role} may not replicate`, `Run alter role ${ident(facts.role)} replication.`);
  }
  if (!facts.creates) {
    const hint = `Run grant create on database ${ident(facts.database)} to ${ident(facts.role)}.`;
    error("SLOT_PUBLICATION", "the replicator's role may not create a publication", hint);
  }
  if (facts.keep === "-1") {
    found.push({
      severity: "warning",
      code: "SLOT_KEEPS_WAL",
      message: "while no replicator runs, the slot keeps the server's log without a limit, until the disk is full",
      hint: "Set max_slot_wal_keep_size to what the disk can spare; beyond it the slot is lost, and the server goes on.",
    });
  }
  return found;
}

/** What keeps a table from being captured from a slot. */
export function slotTableFindings({ table, local }: WantedTable, relation: Relation): Finding[] {
  const found: Finding[] = [];
  if (!relation.owned) {
    found.push({
      severity: "error",
      code: "SLOT_NOT_OWNER",
      table,
      message: `${local} belongs to ${relation.owner}: only its owner may publish it`,
      hint: "Make the replicator's role a member of the owner, or use `capture: trigger`.",
    });
  }
  const virtual = relation.columns.find((column) => column.virtual);
  if (virtual !== undefined) {
    found.push({
      severity: "error",
      code: "SLOT_VIRTUAL_COLUMN",
      table,
      message: `${local} has the virtual generated column ${virtual.name}, with which the server refuses updates of a published table`,
      hint: "Make it a stored one, or use `capture: trigger`.",
    });
  }
  if (relation.kind === "p") {
    found.push({
      severity: "error",
      code: "SLOT_PARTITIONED",
      table,
      message: `${local} is partitioned: a slot does not tell when one of its partitions is truncated`,
      hint: "Use `capture: trigger` for this node.",
    });
  }
  return found;
}
