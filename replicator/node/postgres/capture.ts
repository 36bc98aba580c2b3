import { textArray } from "./array-literal.ts";
import { ident, qualified } from "./identifier.ts";
import { needsRowTriggers, type Relation, type RelationTrigger, usableKey } from "./shape.ts";

/** A capture trigger as it should be on a table. */
export interface CaptureTrigger {
  readonly name: string;
  readonly function: string;
  readonly args: readonly string[];
  /** As `pg_trigger.tgtype`. */
  readonly type: number;
  /** `create trigger` … and `enable always`, each ended by a semicolon. */
  readonly sql: string;
}

interface Captured {
  /** `tombolo.captured_table.id`. */
  readonly id: number;
  /** Updates log whole rows. */
  readonly whole: boolean;
  /** Columns that stay at home; one that the table gets later stays at home from its first value on. */
  readonly excluded: readonly string[];
}

const ROW = 1;
const EVENTS = { insert: 4, delete: 8, update: 16, truncate: 32 } as const;
type Event = keyof typeof EVENTS;

const TRANSITION: { readonly [event in Event]: string } = {
  insert: " referencing new table as new_rows",
  delete: " referencing old table as old_rows",
  update: " referencing old table as old_rows new table as new_rows",
  truncate: "",
};

export const PARTITION_TRIGGER = "tombolo_capture_truncate";

/** What captures a table: one trigger per operation; by statement, or by row where statements do not see everything. */
export function captureTriggers(relation: Relation, captured: Captured): CaptureTrigger[] {
  const generated = relation.columns.filter((column) => column.generated).map((column) => column.name);
  const hidden = [...new Set([...generated, ...captured.excluded])];
  const args = [
    String(captured.id),
    textArray(usableKey(relation)?.columns ?? []),
    textArray(hidden),
    captured.whole ? "whole" : "changed",
  ];
  return (["insert", "update", "delete", "truncate"] as const).map((event) => {
    const row = event !== "truncate" && needsRowTriggers(relation);
    const name = `tombolo_capture_${event}`;
    const call = row ? "tombolo.capture_row" : `tombolo.capture_${event}`;
    const level = row ? " for each row" : `${TRANSITION[event]} for each statement`;
    const on = qualified(relation.schema, relation.name);
    const literals = args.map((arg) => `'${arg.replaceAll("'", "''")}'`).join(", ");
    return {
      name,
      function: call,
      args,
      type: EVENTS[event] | (row ? ROW : 0),
      sql: `create trigger ${name} after ${event} on ${on}${level} execute function ${call}(${literals});\n${enableSql(relation, name)}`,
    };
  });
}

/** Fires whatever `session_replication_role` is: a bulk load or a subscription must not pass unseen. Only an owner may say so. */
export function enableSql(relation: Relation, trigger: string): string {
  return relation.owned ? `alter table ${qualified(relation.schema, relation.name)} enable always trigger ${ident(trigger)};` : "";
}

/** A truncate of one partition by itself: rows that nobody sees going. */
export function partitionTrigger(partition: { readonly schema: string; readonly name: string }, captured: Pick<Captured, "id">): string {
  const on = qualified(partition.schema, partition.name);
  return (
    `create trigger ${PARTITION_TRIGGER} after truncate on ${on} for each statement execute function tombolo.capture_partition_truncate('${captured.id}');\n` +
    `alter table ${on} enable always trigger ${PARTITION_TRIGGER};`
  );
}

export const dropTriggerSql = (schema: string, table: string, trigger: string): string =>
  `drop trigger if exists ${ident(trigger)} on ${qualified(schema, table)};`;

/** What is wrong with the trigger that is there; null when it is as it should be. */
export function triggerFault(relation: Relation, expected: CaptureTrigger, actual: RelationTrigger | undefined): TriggerFault | null {
  if (actual === undefined) return "TRIGGER_MISSING";
  const always = relation.owned ? "A" : "O";
  // an owner may have enabled always what our role could only create
  if (actual.enabled !== always && actual.enabled !== "A") return "TRIGGER_DISABLED";
  const same = actual.function === expected.function && actual.type === expected.type && actual.plain;
  if (!same || JSON.stringify(actual.args) !== JSON.stringify(expected.args)) return "TRIGGER_CHANGED";
  return null;
}

export type TriggerFault = "TRIGGER_MISSING" | "TRIGGER_DISABLED" | "TRIGGER_CHANGED";
