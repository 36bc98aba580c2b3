import { ArrivalSampler, lags } from "../measure/lag.ts";
import { percentile } from "../measure/stats.ts";
import type { Session } from "../session.ts";
import type { Figures, Workload } from "./workload.ts";

export const lag200: Workload = {
  name: "lag-200",
  title: "lag at 200 tx/s",
  once: true,
  prepare: (session) => session.ensureRows(1),
  run: (session) => measureLag(session, 200),
};

export const lag500: Workload = {
  name: "lag-500",
  title: "lag at 500 tx/s",
  prepare: (session) => session.ensureRows(1),
  run: (session) => measureLag(session, 500),
};

/** Commit confirmed to the writer until seen at the target; the same at the source itself is the floor of the method. */
async function measureLag(session: Session, rate: number): Promise<Figures> {
  const { lagSeconds: seconds, writers: clients } = session.sizes;
  const from = session.rows;
  const atSource = new ArrivalSampler(session.source, from);
  const atTarget = new ArrivalSampler(session.target, from);
  const { commits } = await session.writer.do({ do: "paced", from: from + 1, rate, seconds, clients });
  session.rows += commits.length;
  await session.arrival(await session.mark());
  const [source, target] = await Promise.all([atSource.stop(), atTarget.stop()]);
  const behind = lags(commits, target);
  const floor = lags(commits, source);
  return {
    lag_p50_ms: percentile(behind, 50),
    lag_p99_ms: percentile(behind, 99),
    floor_p50_ms: percentile(floor, 50),
    floor_p99_ms: percentile(floor, 99),
  };
}
