import type { Finding, WantedTable } from "../installation.ts";
import { type Relation, usableKey } from "./shape.ts";

/** Names `schema.table` of the topology in parts; without a schema it is `public`. */
export function splitLocal(local: string): { schema: string; table: string } {
  const dot = local.indexOf(".");
  return dot < 0 ? { schema: "public", table: local } : { schema: local.slice(0, dot), table: local.slice(dot + 1) };
}

const KINDS: { readonly [relkind: string]: string } = {
  f: "is a foreign table: it has no transition tables, and its rows change on another server",
  v: "is a view: replicate the tables that it is made of",
  m: "is a materialized view: replicate the tables that it is made of",
  S: "is a sequence",
};

/** What keeps the table from being captured (`error`), and what a person should know (`warning`). */
export function tableFindings(wanted: WantedTable, relation: Relation | undefined): Finding[] {
  const { table } = wanted;
  if (relation === undefined) {
    const hint = "Create the table, or correct its name in the topology; the role needs USAGE on its schema.";
    return [{ severity: "error", code: "TABLE_MISSING", table, message: `table ${wanted.local} does not exist`, hint }];
  }
  return [...refusals(relation), ...warnings(relation)].map(({ severity, code, message, hint }) => ({
    severity,
    code,
    table,
    message: `${wanted.local} ${message}`,
    hint,
  }));
}

/** The domain of the extension lo, in whatever schema. */
const LARGE_OBJECT = /^(.*\.)?lo$/;

interface Rule {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

const error = (code: string, message: string, hint: string): Rule => ({ severity: "error", code, message, hint });
const warning = (code: string, message: string, hint: string): Rule => ({ severity: "warning", code, message, hint });

function refusals(relation: Relation): Rule[] {
  const { schema } = relation;
  if (schema === "tombolo" || schema === "information_schema" || schema.startsWith("pg_")) {
    return [error("TABLE_OF_SYSTEM", "belongs to the system", "Take it out of the topology.")];
  }
  const kind = KINDS[relation.kind];
  if (kind !== undefined) return [error("TABLE_KIND", kind, "Take it out of the topology.")];
  const rules: Rule[] = [];
  if (relation.persistence === "u") {
    rules.push(error("TABLE_UNLOGGED", "is unlogged: a crash empties it unseen", `Run alter table ${relation.name} set logged.`));
  }
  if (relation.persistence === "t") rules.push(error("TABLE_TEMPORARY", "is temporary", "Take it out of the topology."));
  if (relation.isPartition) {
    rules.push(
      error("TABLE_IS_PARTITION", "is a partition: its rows belong to the partitioned table", "Name the partitioned table instead."),
    );
  }
  if (relation.inherits) {
    rules.push(
      error("TABLE_INHERITS", "takes part in inheritance: triggers are not inherited", "Use declarative partitioning, or separate tables."),
    );
  }
  rules.push(...keyRefusals(relation));
  for (const column of relation.columns.filter(({ type }) => LARGE_OBJECT.test(type))) {
    rules.push(
      error("COLUMN_LARGE_OBJECT", `has a large object in column ${column.name}: only its number would travel`, "Store the data as bytea."),
    );
  }
  if (relation.hidesRows) {
    rules.push(
      error(
        "TABLE_HIDES_ROWS",
        "has row-level security that applies to the replicator's role",
        "Make the role the owner, or grant it BYPASSRLS.",
      ),
    );
  }
  const needed = relation.lacking.filter((privilege) => privilege === "SELECT" || privilege === "TRIGGER");
  if (needed.length > 0) {
    rules.push(
      error(
        "TABLE_PRIVILEGE",
        `belongs to ${relation.owner}, and the replicator's role lacks ${needed.join(" and ")}`,
        "Grant it, or make the role a member of the owner.",
      ),
    );
  }
  return rules;
}

function keyRefusals(relation: Relation): Rule[] {
  const key = usableKey(relation);
  if (key === undefined) {
    if (relation.keys.some(({ deferrable, nullable }) => deferrable && !nullable)) {
      return [
        error(
          "TABLE_KEY_DEFERRABLE",
          "has only a deferrable key, which no upsert can use",
          "Make the constraint not deferrable, or add a unique index on not-null columns.",
        ),
      ];
    }
    return [
      error("TABLE_WITHOUT_KEY", "has no key that tells its rows apart", "Add a primary key, or a unique index on not-null columns."),
    ];
  }
  const generated = relation.columns.filter(({ name, generated }) => generated && key.columns.includes(name));
  if (generated.length === 0) return [];
  return [error("TABLE_KEY_GENERATED", `has the generated column ${generated[0]?.name} in its key`, "Use a key of stored columns.")];
}

function warnings(relation: Relation): Rule[] {
  const rules: Rule[] = [];
  for (const column of relation.columns.filter(({ base, type }) => base === "oid" && !LARGE_OBJECT.test(type))) {
    rules.push(
      warning("COLUMN_OID", `has the oid column ${column.name}: a number travels, not what it points to`, "Store large objects as bytea."),
    );
  }
  if (relation.keys.some(({ deferrable }) => deferrable) && usableKey(relation) !== undefined) {
    rules.push(
      warning(
        "TABLE_KEY_DEFERRABLE",
        "has a deferrable unique key: changes that break it until commit may be parked",
        "Make it not deferrable if you can.",
      ),
    );
  }
  const writes = relation.lacking.filter((privilege) => privilege !== "SELECT" && privilege !== "TRIGGER");
  if (writes.length > 0) {
    rules.push(
      warning(
        "TABLE_NOT_WRITABLE",
        `can't be applied to: the replicator's role lacks ${writes.join(", ")}`,
        "Grant it where changes come in.",
      ),
    );
  }
  if (!relation.owned) {
    rules.push(
      warning(
        "CAPTURE_NOT_ALWAYS",
        `belongs to ${relation.owner}: its capture can't be made to fire under session_replication_role = replica`,
        "Make the replicator's role a member of the owner.",
      ),
    );
  }
  const own = relation.triggers.filter(({ ours, enabled }) => !ours && enabled !== "D");
  if (own.length > 0) {
    const names = own.map(({ name }) => name).join(", ");
    rules.push(
      warning(
        "TABLE_HAS_TRIGGERS",
        `has triggers (${names}) that may fire for applied changes as well`,
        "Add `when (not tombolo.applying())` to those that should not.",
      ),
    );
  }
  return rules;
}
