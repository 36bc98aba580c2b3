import type { SystemName } from "../plan.ts";
import { PostgresStore } from "../stores/postgres.ts";
import { SqliteStore } from "../stores/sqlite.ts";
import type { Store } from "../stores/store.ts";
import { TABLE_NAMES } from "../stores/tables.ts";
import type { Ends, Installed, System } from "./system.ts";
import { TomboloProcess } from "./tombolo-process.ts";

/** A slot keeps its database from being dropped; a walsender ends a moment after its client. */
const DROP_SLOTS = `
  select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where database = current_database() and active_pid is not null;
  select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`;
const BACKENDS = "select pid from pg_stat_activity where datname = current_database() and application_name like 'tombolo%'";
const LOG_BYTES = "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'tombolo.change'::regclass";

/** Trigger capture at both ends, conflicts detected. */
export const tombolo: System = system("tombolo", { direction: "both", capture: "trigger" });
/** The same with nothing on the writers' way: the Postgres databases are captured from a replication slot. */
export const tomboloSlot: System = system("tombolo-slot", { direction: "both", capture: "slot" });
/** The same where rows travel one way only, as native replication does: the target is not captured, nothing is judged. */
export const tomboloOneWay: System = system("tombolo-one-way", { direction: "one way", capture: "trigger" });

interface Manner {
  readonly direction: "both" | "one way";
  readonly capture: "trigger" | "slot";
}

function system(name: SystemName, manner: Manner): System {
  return { name, install: (ends) => install(ends, manner) };
}

/** The hub is a Postgres: where the source is a SQLite, the source is the child. */
function topology({ source, target }: Ends, { direction, capture }: Manner): string {
  const upward = source.engine === "sqlite";
  const node = (name: "source" | "target", { engine, location }: Ends["source"]) =>
    engine === "postgres"
      ? `{ name: ${name}, type: postgres, url: "\${BENCH_${name.toUpperCase()}}", capture: ${capture} }`
      : `{ name: ${name}, type: sqlite, path: ${JSON.stringify(location)} }`;
  return `version: 1
name: bench
nodes:
  - ${node("source", source)}
  - ${node("target", target)}
channels:
  - { name: bench, tables: [${TABLE_NAMES.join(", ")}] }
links:
  - parent: ${upward ? "target" : "source"}
    child: ${upward ? "source" : "target"}
    channels: [{ name: bench, direction: ${direction === "both" ? "both" : upward ? "up" : "down"} }]
`;
}

async function install(ends: Ends, manner: Manner): Promise<Installed> {
  const { name, directory, source, target } = ends;
  const env = { BENCH_SOURCE: source.location, BENCH_TARGET: target.location };
  const process = await TomboloProcess.apply({ name, directory, topology: topology(ends, manner), env });
  return {
    get pid() {
      return process.pid;
    },
    start: async () => process.start(),
    pause: () => process.stop(),
    command: (...args) => process.command(...args),
    ...(manner.direction === "both" ? { bothWays: async () => {} } : {}),
    backends: () => tomboloBackends([source, target]),
    // with slot capture the change log follows the write-ahead log only while it is read
    ...(manner.capture === "slot" ? {} : { logBytes: () => logBytes(source) }),
    wireBytes: () => process.wireBytes(),
    assertAlive: () => process.assertAlive(),
    async remove() {
      await process.stop();
      for (const store of [source, target]) {
        if (manner.capture === "slot" && store instanceof PostgresStore) await store.run(DROP_SLOTS);
      }
    },
  };
}

export async function tomboloBackends(stores: readonly Store[]): Promise<readonly number[]> {
  return (await Promise.all(stores.map((store) => (store instanceof PostgresStore ? store.pids(BACKENDS) : [])))).flat();
}

export async function logBytes(store: Store): Promise<number> {
  if (store instanceof PostgresStore) return store.number(LOG_BYTES);
  return store instanceof SqliteStore ? store.bytesOf("tombolo_change*") : 0;
}
