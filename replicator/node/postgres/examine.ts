import type { Finding } from "../installation.ts";
import { installationFindings, latestVersion, readInstalled } from "./migrate.ts";
import type { Queryable } from "./shape.ts";
import { examineSlot } from "./slot/examine.ts";

interface Facts {
  readonly version: string;
  readonly role: string;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly sequenceCache: string | null;
  readonly oldestSeconds: number | null;
  readonly prepared: number;
  readonly preparable: boolean;
  readonly spare: number;
}

const SELECT = `
  select json_build_object(
    'version', current_setting('server_version'), 'role', current_user,
    'fsync', current_setting('fsync'), 'fullPageWrites', current_setting('full_page_writes'),
    'sequenceCache', (select s.seqcache::text from pg_sequence s where s.seqrelid = to_regclass('tombolo.change_seq')),
    'oldestSeconds', (select max(extract(epoch from clock_timestamp() - xact_start))::int from pg_stat_activity where datname = current_database() and backend_type = 'client backend'),
    'prepared', (select count(*) from pg_prepared_xacts where database = current_database() and prepared < clock_timestamp() - make_interval(secs => $1)),
    'preparable', current_setting('max_prepared_transactions') <> '0',
    'spare', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
             - (select count(*) from pg_stat_activity where backend_type = 'client backend')
  )::text as facts`;

/** A transaction that has been open, or prepared, for longer is old. */
const OLD_SECONDS = 600;
const CONNECTIONS_WANTED = 10;

/** Settings, privileges and versions, each with its remedy. A finding with severity `ok` says what was checked and is well. */
export async function examine(client: Queryable, oldSeconds = OLD_SECONDS): Promise<Finding[]> {
  const installed = await readInstalled(client);
  const { rows } = await client.query<{ facts: string }>(SELECT, [oldSeconds]);
  const facts = JSON.parse(rows[0]?.facts ?? "{}") as Facts;
  const privileges = await installationFindings(client, installed);
  const ok = (code: string, message: string): Finding => ({ severity: "ok", code, message });
  return [
    ok("SERVER_VERSION", `PostgreSQL ${facts.version.split(" ")[0]}, role ${facts.role}`),
    installed.version === 0
      ? { severity: "warning", code: "NOT_INSTALLED", message: "Tombolo is not installed here", hint: "Run `tombolo apply`." }
      : ok("INSTALLED", `schema tombolo is at version ${installed.version}`),
    ...(privileges.length > 0 ? privileges : [ok("PRIVILEGES", "the role may install what is needed")]),
    ...durability(facts),
    ...activity(facts, oldSeconds),
    ...(installed.version === latestVersion() ? await examineSlot(client) : []),
  ];
}

function durability(facts: Facts): Finding[] {
  const found: Finding[] = [];
  if (facts.fsync !== "on" || facts.fullPageWrites !== "on") {
    const hint = "Set fsync and full_page_writes to on, unless losing this database is fine.";
    found.push({ severity: "warning", code: "SERVER_NOT_DURABLE", message: "the server does not survive a power failure", hint });
  }
  if (facts.sequenceCache !== null && facts.sequenceCache !== "1") {
    const hint = "Run alter sequence tombolo.change_seq cache 1.";
    found.push({ severity: "error", code: "SEQUENCE_CACHE", message: "tombolo.change_seq hands out numbers out of order", hint });
  }
  if (found.length === 0) found.push({ severity: "ok", code: "DURABILITY", message: "fsync and full_page_writes are on" });
  return found;
}

function activity(facts: Facts, oldSeconds: number): Finding[] {
  const found: Finding[] = [];
  if ((facts.oldestSeconds ?? 0) > oldSeconds) {
    const message = `a transaction has been open for ${facts.oldestSeconds} s: its changes wait, and the log can't shrink`;
    found.push({
      severity: "warning",
      code: "LONG_TRANSACTION",
      message,
      hint: "Find it in pg_stat_activity; end it or set idle_in_transaction_session_timeout.",
    });
  }
  if (facts.prepared > 0) {
    const message = `${facts.prepared} prepared transaction(s) are older than ${Math.round(oldSeconds / 60)} minutes`;
    found.push({
      severity: "warning",
      code: "PREPARED_TRANSACTION",
      message,
      hint: "Find them in pg_prepared_xacts; commit or roll them back.",
    });
  }
  if (facts.preparable) {
    const message = "max_prepared_transactions is set: an idle replicator is not woken by a change, it looks twice a second";
    found.push({
      severity: "warning",
      code: "TWO_PHASE_COMMIT",
      message,
      hint: "Set max_prepared_transactions to 0 where nobody uses PREPARE TRANSACTION.",
    });
  }
  if (facts.spare < CONNECTIONS_WANTED) {
    found.push({
      severity: "warning",
      code: "CONNECTIONS",
      message: `${facts.spare} connections are free`,
      hint: "Raise max_connections.",
    });
  }
  if (found.length === 0) found.push({ severity: "ok", code: "ACTIVITY", message: "no transaction is old, connections are free" });
  return found;
}
