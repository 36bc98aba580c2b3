import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../measure/clock.ts";
import type { PostgresStore } from "../stores/postgres.ts";
import { TABLE_NAMES } from "../stores/tables.ts";
import { missingExtension } from "./extension.ts";
import type { Ends, Installed, System } from "./system.ts";

const START_MS = 60_000;

/** The pglogical extension of both servers, with its defaults. Nothing is filled: both ends begin empty. */
export const pglogical: System = {
  name: "pglogical",
  missing: (servers) => missingExtension(servers, "pglogical", { preloaded: true }),
  install,
};

async function install({ name, source, target }: Ends): Promise<Installed> {
  const provider = source as PostgresStore;
  const subscriber = target as PostgresStore;
  let subscribed = false;
  for (const [store, node] of [
    [provider, `${name}_source`],
    [subscriber, `${name}_target`],
  ] as const) {
    await store.run("create extension pglogical");
    await store.run(`select pglogical.create_node(node_name := '${node}', dsn := ${quoted(store.location)})`);
  }
  for (const table of TABLE_NAMES) await provider.run(`select pglogical.replication_set_add_table('default', '${table}')`);
  return {
    pid: null,
    async start() {
      if (subscribed) return subscriber.run(`select pglogical.alter_subscription_enable('${name}', true)`);
      await subscriber.run(`select pglogical.create_subscription(subscription_name := '${name}', provider_dsn := ${quoted(provider.location)},
        replication_sets := '{default}', synchronize_structure := false, synchronize_data := false)`);
      subscribed = true;
      await replicating(subscriber, name);
    },
    pause: () => subscriber.run(`select pglogical.alter_subscription_disable('${name}', true)`),
    async backends() {
      const senders = "select active_pid as pid from pg_replication_slots where database = current_database() and active";
      const workers = "select pid from pg_stat_activity where datname = current_database() and application_name like 'pglogical%'";
      return (await Promise.all([provider, subscriber].flatMap((end) => [end.pids(senders), end.pids(workers)]))).flat();
    },
    assertAlive() {},
    async remove() {
      // drops the slot as well
      await subscriber.run(`select pglogical.drop_subscription('${name}', true)`);
      await provider.run(`select pglogical.drop_node('${name}_source', true)`);
      await subscriber.run(`select pglogical.drop_node('${name}_target', true)`);
    },
  };
}

/** It is created in the background: what is written before its slot is there never comes. */
async function replicating(at: PostgresStore, subscription: string): Promise<void> {
  const text = `select count(*) from pglogical.show_subscription_status('${subscription}') where status = 'replicating'`;
  const deadline = now() + START_MS;
  while ((await at.number(text)) === 0) {
    if (now() > deadline) throw new Error(`pglogical's subscription does not replicate after ${START_MS / 1000} s`);
    await sleep(20);
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
