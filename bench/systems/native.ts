import type { PostgresStore } from "../stores/postgres.ts";
import type { Ends, Installed, System } from "./system.ts";

/** Postgres' own logical replication, as `create publication` and `create subscription` set it up by default. */
export const native: System = { name: "native", install };

async function install({ name, source, target }: Ends): Promise<Installed> {
  const publisher = source as PostgresStore;
  const subscriber = target as PostgresStore;
  await publisher.run(`create publication ${name} for table bench`);
  let subscribed = false;
  return {
    pid: null,
    async start() {
      const url = source.location.replaceAll("'", "''");
      await subscriber.run(
        subscribed
          ? `alter subscription ${name} enable`
          : `create subscription ${name} connection '${url}' publication ${name} with (copy_data = false)`,
      );
      subscribed = true;
    },
    pause: () => subscriber.run(`alter subscription ${name} disable`),
    async backends() {
      const senders = await publisher.pids(`select active_pid as pid from pg_replication_slots where slot_name = '${name}' and active`);
      const workers = await subscriber.pids(`select pid from pg_stat_subscription where subname = '${name}' and pid is not null`);
      return [...senders, ...workers];
    },
    assertAlive() {},
    async remove() {
      // drops the slot at the source as well
      if (subscribed) await subscriber.run(`drop subscription ${name}`);
    },
  };
}
