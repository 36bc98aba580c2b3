import type { PostgresStore } from "../stores/postgres.ts";
import { TABLE_NAMES } from "../stores/tables.ts";
import type { Ends, Installed, System } from "./system.ts";

/** Postgres' own logical replication, as `create publication` and `create subscription` set it up by default. */
export const native: System = { name: "native", install };

async function install({ name, source, target }: Ends): Promise<Installed> {
  const publisher = source as PostgresStore;
  const subscriber = target as PostgresStore;
  const publish = `create publication ${name} for table ${TABLE_NAMES.join(", ")}`;
  const subscribe = (from: PostgresStore, options: string) =>
    `create subscription ${name} connection '${from.location.replaceAll("'", "''")}' publication ${name} with (${options})`;
  await publisher.run(publish);
  let subscribed = false;
  let both = false;
  // before Postgres 16, a change would go round for ever
  const canFilterOrigins = (await publisher.number("show server_version_num")) >= 160_000;
  /** Nothing is detected: of two changes of a row the last one applied at each end stays, so the ends may differ for ever. */
  const bothWays = async () => {
    await subscriber.run(`alter subscription ${name} set (origin = none)`);
    await subscriber.run(publish);
    await publisher.run(subscribe(subscriber, `copy_data = false, origin = none, slot_name = ${name}_back`));
    both = true;
  };
  return {
    pid: null,
    async start() {
      await subscriber.run(subscribed ? `alter subscription ${name} enable` : subscribe(publisher, "copy_data = false"));
      subscribed = true;
    },
    pause: () => subscriber.run(`alter subscription ${name} disable`),
    ...(canFilterOrigins ? { bothWays } : {}),
    async backends() {
      const ends = [publisher, subscriber];
      const senders = `select active_pid as pid from pg_replication_slots where slot_name in ('${name}', '${name}_back') and active`;
      const workers = `select pid from pg_stat_subscription where subname = '${name}' and pid is not null`;
      return (await Promise.all(ends.flatMap((end) => [end.pids(senders), end.pids(workers)]))).flat();
    },
    assertAlive() {},
    async remove() {
      // drops the slots as well
      if (both) await publisher.run(`drop subscription ${name}`);
      if (subscribed) await subscriber.run(`drop subscription ${name}`);
    },
  };
}
