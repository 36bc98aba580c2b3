import type { Finding, Plan, Step } from "../installation.ts";
import { type StridedSequence, stridedSequences } from "./id-strides.ts";
import { ident, qualified } from "./identifier.ts";
import { captureDropSteps } from "./plan.ts";
import { registeredTables } from "./registration.ts";
import { type Queryable, relationsOf } from "./shape.ts";
import { identityBackStep, leaveSteps, readSlotInstalled, slotDropSteps } from "./slot/plan.ts";
import { putBack } from "./stride-sql.ts";

interface Remains {
  /** Relations that carry a capture trigger of their own, not a partition's clone. */
  readonly captured: string[];
  readonly tables: string[];
  readonly views: string[];
  readonly sequences: string[];
  /** Names with argument types. */
  readonly functions: string[];
  /** hstore is in our schema. */
  readonly hstore: boolean;
  /** What else uses the extension: it stays then. */
  readonly hstoreUsers: string[];
  /** What else is in the schema, or depends on what is. */
  readonly foreign: string[];
}

const SELECT = `
  with ours as (select oid from pg_namespace where nspname = 'tombolo'),
  extension as (select e.oid from pg_extension e where e.extname = 'hstore' and e.extnamespace in (select oid from ours)),
  member as (select d.classid, d.objid from pg_depend d where d.refclassid = 'pg_extension'::regclass and d.deptype = 'e' and d.refobjid in (select oid from extension)),
  relation as (select c.oid, c.relname, c.relkind, c.relispartition from pg_class c where c.relnamespace in (select oid from ours)),
  routine as (select p.oid, p.proname, p.prokind from pg_proc p where p.pronamespace in (select oid from ours)
               and not exists (select from member m where m.classid = 'pg_proc'::regclass and m.objid = p.oid))
  select json_build_object(
    'captured', (select coalesce(json_agg(distinct coalesce(pg_partition_root(t.tgrelid)::oid, t.tgrelid)::text), '[]') from pg_trigger t
                  where t.tgfoid in (select oid from routine) and t.tgname like 'tombolo\\_capture\\_%'),
    'tables', (select coalesce(json_agg(relname order by relname), '[]') from relation where relkind in ('r', 'p') and not relispartition),
    'views', (select coalesce(json_agg(relname order by relname), '[]') from relation where relkind = 'v'),
    'sequences', (select coalesce(json_agg(relname order by relname), '[]') from relation r where relkind = 'S'
                   and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype in ('a', 'i'))),
    'functions', (select coalesce(json_agg(format('%I(%s)', proname, pg_get_function_identity_arguments(oid)) order by proname), '[]') from routine where prokind = 'f'),
    'hstore', exists (select from extension),
    'hstoreUsers', (select coalesce(json_agg(distinct pg_describe_object(d.classid, d.objid, d.objsubid)), '[]') from pg_depend d join member m on m.classid = d.refclassid and m.objid = d.refobjid
                     where d.deptype in ('n', 'a') and not exists (select from member x where x.classid = d.classid and x.objid = d.objid)
                       and not (d.classid = 'pg_class'::regclass and d.objid in (select oid from relation))
                       and not (d.classid = 'pg_proc'::regclass and d.objid in (select oid from routine))
                       and not (d.classid in ('pg_type'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass))),
    'foreign', (select coalesce(json_agg(distinct pg_describe_object(d.classid, d.objid, d.objsubid)), '[]') from pg_depend d
                 where d.refclassid = 'pg_proc'::regclass and d.refobjid in (select oid from routine) and d.deptype = 'n'
                   and not (d.classid = 'pg_trigger'::regclass and d.objid in (select t.oid from pg_trigger t where t.tgname like 'tombolo\\_capture\\_%')))
  )::text as remains`;

/** What removes every trace, made from what is there: it works as well when half of it is gone. */
export async function planUninstall(client: Queryable): Promise<Plan> {
  const { rows } = await client.query<{ remains: string }>(SELECT);
  const remains = JSON.parse(rows[0]?.remains ?? "{}") as Remains;
  const slot = await readSlotInstalled(client, "", []);
  const strided = await stridedSequences(client);
  const steps: Step[] = [
    ...(await relationsOf(client, remains.captured)).flatMap(captureDropSteps),
    ...strided.filter(({ owned }) => owned).map(putBack),
    ...(await identitiesBack(client, remains)),
    ...leaveSteps({ ...slot, state: null }),
  ];
  const keepsHstore = remains.hstore && remains.hstoreUsers.length > 0;
  const drop = (object: string, sql: string): void => {
    steps.push({ action: "drop", object, sql });
  };
  for (const name of remains.functions) drop(`function tombolo.${name}`, `drop function tombolo.${name};`);
  for (const name of remains.views) drop(`view tombolo.${name}`, `drop view ${qualified("tombolo", name)};`);
  if (remains.tables.length > 0) {
    drop(
      `tables tombolo.{${remains.tables.join(", ")}}`,
      `drop table ${remains.tables.map((name) => qualified("tombolo", name)).join(", ")};`,
    );
  }
  for (const name of remains.sequences) drop(`sequence tombolo.${name}`, `drop sequence ${qualified("tombolo", name)};`);
  if (remains.hstore && !keepsHstore) drop("extension hstore", "drop extension hstore;");
  if ((await schemaExists(client)) && !keepsHstore) drop("schema tombolo", `drop schema ${ident("tombolo")};`);
  if (keepsHstore) steps.push({ action: "change", object: "grants on schema tombolo", sql: "revoke usage on schema tombolo from public;" });
  // the last one: it cannot be taken back
  steps.push(...slotDropSteps(slot));
  return { steps, findings: [...strided.filter(({ owned }) => !owned).map(staysApart), ...findings(remains, keepsHstore)] };
}

function staysApart({ sql, owner, original }: StridedSequence): Finding {
  const message = `the numbers of the sequence ${sql} stay apart: it belongs to ${owner}, and the replicator's role may not alter it`;
  const hint = `Let its owner run alter sequence ${sql} increment by ${original.increment} start with ${original.start}.`;
  return { severity: "warning", code: "IDS_SEQUENCE_UNFIT", message, hint };
}

/** Tables that a slot captured get back the replica identity that they had. */
async function identitiesBack(client: Queryable, { tables }: Remains): Promise<Step[]> {
  if (!tables.includes("captured_table")) return [];
  const changed = (await registeredTables(client)).filter(({ identityBefore }) => identityBefore !== null);
  const relations = await relationsOf(
    client,
    changed.map(({ relation }) => relation),
  );
  return relations.map((relation) =>
    identityBackStep(relation, changed.find(({ relation: oid }) => oid === relation.oid)?.identityBefore ?? "d"),
  );
}

function findings(remains: Remains, keepsHstore: boolean): Finding[] {
  const found: Finding[] = [];
  if (keepsHstore) {
    found.push({
      severity: "warning",
      code: "HSTORE_IN_USE",
      message: `the extension hstore stays in schema tombolo: ${remains.hstoreUsers.join(", ")} use it`,
      hint: "Move it with alter extension hstore set schema …, then drop the schema.",
    });
  }
  if (remains.foreign.length > 0) {
    found.push({
      severity: "error",
      code: "UNINSTALL_BLOCKED",
      message: `objects of applications use Tombolo's functions: ${remains.foreign.join(", ")}`,
      hint: "Take tombolo.applying() out of them first.",
    });
  }
  return found;
}

async function schemaExists(client: Queryable): Promise<boolean> {
  const { rows } = await client.query("select from pg_namespace where nspname = 'tombolo'");
  return rows.length > 0;
}
