import { TomboloError } from "../../change/error.ts";
import type { Finding, Step } from "../installation.ts";
import { ident } from "./identifier.ts";
import type { Queryable } from "./shape.ts";
import { sqlFiles } from "./sql-files.ts";

/** What of Tombolo this database has already. */
export interface Installed {
  readonly schema: boolean;
  /** The newest migration; 0 where there is none. */
  readonly version: number;
  /** The schema of the extension hstore; null where it is not installed. */
  readonly hstore: string | null;
  /** The `tombolo.node` row is there. */
  readonly node: boolean;
}

export const latestVersion = (): number => sqlFiles().at(-1)?.version ?? 0;

/** Throws `DATABASE_NEWER` (newer) when a newer Tombolo has been here. */
export async function readInstalled(client: Queryable): Promise<Installed> {
  const { rows } = await client.query<{ schema: string; migration: string; node: string; hstore: string | null }>(
    `select to_regnamespace('tombolo') is not null as schema, to_regclass('tombolo.migration') is not null as migration, to_regclass('tombolo.node') is not null as node,
            (select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'hstore') as hstore`,
  );
  const [row] = rows;
  const version = row?.migration === "t" ? await single(client, "select coalesce(max(version), 0) from tombolo.migration") : "0";
  const node = row?.node === "t" ? await single(client, "select count(*) from tombolo.node") : "0";
  if (Number(version) > latestVersion()) {
    throw new TomboloError(
      `the database belongs to a newer Tombolo (its schema is version ${version}, this one knows ${latestVersion()})`,
      {
        code: "DATABASE_NEWER",
        kind: "newer",
        hint: "Upgrade this Tombolo.",
      },
    );
  }
  return { schema: row?.schema === "t", version: Number(version), hstore: row?.hstore ?? null, node: node !== "0" };
}

/** Throws `NOT_INSTALLED` (operator) where `apply` has not run, or not since an older Tombolo was here; `DATABASE_NEWER`. */
export async function requireCurrent(client: Queryable): Promise<void> {
  const { version } = await readInstalled(client);
  if (version === latestVersion()) return;
  throw new TomboloError(version === 0 ? "Tombolo is not installed in this database" : "the database is as an older Tombolo left it", {
    code: "NOT_INSTALLED",
    kind: "operator",
    hint: "Run `tombolo plan`, then `tombolo apply`.",
  });
}

/** What brings the database to this version: schema, extension, numbered files, the node's identity. */
export async function migrationSteps(client: Queryable, installed: Installed): Promise<Step[]> {
  const steps: Step[] = [];
  if (!installed.schema) steps.push({ action: "create", object: "schema tombolo", sql: "create schema tombolo;" });
  if (installed.version === 0) {
    const sql =
      "create table if not exists tombolo.migration (version integer primary key, name text not null, applied_at timestamptz not null default now());";
    steps.push({ action: "create", object: "table tombolo.migration", sql });
  }
  if (installed.hstore === null) {
    steps.push({ action: "create", object: "extension hstore in schema tombolo", sql: "create extension hstore schema tombolo;" });
  }
  const hstore = ident(installed.hstore ?? "tombolo");
  const pending = sqlFiles().filter(({ version }) => version > installed.version);
  for (const { version, name, text } of pending) {
    const sql = `${text.replaceAll(":hstore", hstore).trimEnd()}\ninsert into tombolo.migration (version, name) values (${version}, '${name}');`;
    steps.push({ action: installed.version === 0 ? "create" : "change", object: `migration ${version} (${name})`, sql });
  }
  if (!installed.node) {
    const [system, database] = await clusterIdentity(client);
    const sql = `insert into tombolo.node (system_identifier, database_oid, schema_oid, owns_hstore) values ('${system}', ${database}, 'tombolo'::regnamespace, ${installed.hstore === null});`;
    steps.push({ action: "create", object: "identity of the node in tombolo.node", sql });
  }
  if (pending.length > 0) {
    // an older installation gets the functions as this version has them
    if (installed.version > 0) steps.push({ action: "change", object: "capture functions", sql: captureFunctions(installed) });
    steps.push({
      action: "change",
      object: "fingerprint of the capture functions",
      sql: `update tombolo.node set capture_hash = ${CAPTURE_HASH};`,
    });
  }
  return steps;
}

/** Capture functions that someone changed are put back as this version has them. */
export async function functionSteps(client: Queryable, installed: Installed): Promise<Step[]> {
  if (installed.version !== latestVersion() || !installed.node) return [];
  const same = await single(client, `select capture_hash is not distinct from ${CAPTURE_HASH} from tombolo.node`);
  if (same === "t") return [];
  return [{ action: "change", object: "capture functions", sql: `${captureFunctions(installed)}\n${SET_CAPTURE_HASH}` }];
}

function captureFunctions({ hstore }: Installed): string {
  const text = sqlFiles().find(({ name }) => name === "capture")?.text ?? "";
  return text
    .replaceAll(":hstore", ident(hstore ?? "tombolo"))
    .replaceAll(/^create function/gm, "create or replace function")
    .trimEnd();
}

/** Over the text and the settings of the capture functions. */
export const CAPTURE_HASH = `(select md5(string_agg(concat(p.proname, p.prosrc, p.proconfig, p.prosecdef, p.proowner), ',' order by p.proname))
  from pg_proc p where p.pronamespace = 'tombolo'::regnamespace and (p.proname like 'capture\\_%' or p.proname in ('settle', 'fits')))`;

const SET_CAPTURE_HASH = `update tombolo.node set capture_hash = ${CAPTURE_HASH};`;

/** Which cluster and which database of it this is: a copy made by dump and restore, or from a template, differs in one of them. */
export async function clusterIdentity(client: Queryable): Promise<[system: string, databaseOid: string]> {
  const { rows } = await client.query<{ system: string; database: string }>(
    `select case when has_function_privilege('pg_control_system()', 'execute') then (select system_identifier::text from pg_control_system()) else '' end as system,
            (select oid::text from pg_database where datname = current_database()) as database`,
  );
  return [rows[0]?.system ?? "", rows[0]?.database ?? "0"];
}

/** What the role or the server lacks for the installation. */
export async function installationFindings(client: Queryable, installed: Installed): Promise<Finding[]> {
  const { rows } = await client.query<{ creates: string; available: string; reachable: string; database: string; role: string }>(
    `select has_database_privilege(current_database(), 'create') as creates, exists (select from pg_available_extensions where name = 'hstore') as available,
            coalesce((select has_schema_privilege(e.extnamespace, 'usage') from pg_extension e where e.extname = 'hstore'), true) as reachable,
            current_database() as database, current_user as role`,
  );
  const [row] = rows;
  const findings: Finding[] = [];
  if (row?.creates !== "t" && !installed.schema) {
    const hint = `Run grant create on database ${ident(row?.database ?? "")} to ${ident(row?.role ?? "")}.`;
    findings.push({ severity: "error", code: "DATABASE_CREATE", message: "the replicator's role may not create the schema tombolo", hint });
  }
  if (installed.hstore === null && row?.available !== "t") {
    const hint = "Install the server's contrib package.";
    findings.push({ severity: "error", code: "HSTORE_MISSING", message: "the server does not offer the extension hstore", hint });
  }
  if (row?.reachable !== "t") {
    const hint = `Run grant usage on schema ${ident(installed.hstore ?? "")} to ${ident(row?.role ?? "")}.`;
    findings.push({
      severity: "error",
      code: "HSTORE_UNREACHABLE",
      message: `the replicator's role may not use schema ${installed.hstore}, where hstore is`,
      hint,
    });
  }
  return findings;
}

/** The quoted schema that the extension hstore is in, or will be. */
export async function hstoreSchema(client: Queryable): Promise<string> {
  const { rows } = await client.query<{ hstore: string }>(
    "select n.nspname as hstore from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'hstore'",
  );
  return ident(rows[0]?.hstore ?? "tombolo");
}

async function single(client: Queryable, text: string): Promise<string> {
  const { rows } = await client.query<{ [column: string]: string }>(text);
  return Object.values(rows[0] ?? {})[0] ?? "0";
}
