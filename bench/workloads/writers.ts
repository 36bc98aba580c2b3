import type { Clusters } from "../clusters.ts";
import type { Sizes } from "../plan.ts";
import { withSession } from "../session.ts";
import type { PostgresStore } from "../stores/postgres.ts";
import type { System } from "../systems/system.ts";
import type { Done } from "../writer/protocol.ts";
import type { Figures } from "./workload.ts";

/**
 * What capture alone costs those who write: nothing reads the log meanwhile. Once with durable commits, where a slow disk hides most of
 * it, and once with commits that do not wait for the disk (`synchronous_commit = off`), where nothing does.
 */
export async function writersCost(options: {
  readonly clusters: Clusters;
  readonly system: System;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
}): Promise<Figures> {
  const { sizes } = options;
  return withSession({ ...options, source: "postgres", target: "postgres", captureOnly: true }, async (session) => {
    const { writer } = session;
    const { transactions, rowsPerTransaction: rows, table, singlesSeconds: seconds, writers: clients } = sizes;
    await session.load(Math.max(table, transactions * rows));
    const source = session.source as PostgresStore;
    await source.run("vacuum analyze bench");
    const single = await writer.do({ do: "singles", rows: table, seconds, clients });
    await writer.do({ do: "durable", on: false });
    const unflushed = await writer.do({ do: "singles", rows: table, seconds, clients });
    await writer.do({ do: "durable", on: true });
    await source.run("checkpoint");
    const logBytes = async () => (await session.installed.logBytes?.()) ?? 0;
    const before = { log: await logBytes(), wal: await source.written() };
    const bulk = await writer.do({ do: "bulk", bulk: "update", from: 1, transactions, rows, pass: 3 });
    const growth = { log: (await logBytes()) - before.log, wal: (await source.written()) - before.wal };
    return {
      writers_tps: perSecond(single),
      unflushed_tps: perSecond(unflushed),
      bulk_update_seconds: (bulk.finished - bulk.started) / 1000,
      wal_bytes_per_change: growth.wal / bulk.changes,
      ...(growth.log > 0 ? { log_bytes_per_change: growth.log / bulk.changes } : {}),
    };
  });
}

const perSecond = ({ transactions, started, finished }: Done): number => (transactions * 1000) / (finished - started);
