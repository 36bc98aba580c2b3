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
    await (session.source as PostgresStore).run("vacuum analyze bench");
    const single = await writer.do({ do: "singles", rows: table, seconds, clients });
    await writer.do({ do: "durable", on: false });
    const unflushed = await writer.do({ do: "singles", rows: table, seconds, clients });
    await writer.do({ do: "durable", on: true });
    await (session.source as PostgresStore).run("checkpoint");
    const bulk = await writer.do({ do: "update", from: 1, transactions, rows, pass: 3 });
    return {
      writers_tps: perSecond(single),
      unflushed_tps: perSecond(unflushed),
      bulk_update_seconds: (bulk.finished - bulk.started) / 1000,
    };
  });
}

const perSecond = ({ transactions, started, finished }: Done): number => (transactions * 1000) / (finished - started);
