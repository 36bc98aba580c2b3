import { percentile, spread } from "../measure/stats.ts";
import type { Session } from "../session.ts";
import type { Done } from "../writer/protocol.ts";
import type { Figures, Workload } from "./workload.ts";

const COMPARE = ["reconcile", "--link", "source/target", "--json"];
const FILL = ["full-sync", "target", "--yes", "--no-backup", "--json"];
const PACE = ["--pace", "10"];
const COMMANDS = {
  compare: COMPARE,
  fill: FILL,
  pacedCompare: [...COMPARE, ...PACE],
  pacedFill: [...FILL, ...PACE],
} as const;
type Command = keyof typeof COMMANDS;

/**
 * What an application notices of a reconcile and of a full sync, at once and with a pace: half of its transactions insert a row, half update one, at a fixed
 * rate, alone and with one command after the other beside them. And whether a reconcile under a higher rate takes what is under way for a difference.
 */
export const beside: Workload = {
  name: "beside",
  title: "writers beside upkeep",
  once: true,
  can: ({ command }) => command !== undefined,
  prepare: (session) => session.ensureRows(session.sizes.besideRows),
  async run(session: Session): Promise<Figures> {
    const { besideRate, besideSeconds, besideFastRate } = session.sizes;
    // the first run of anything warms caches for the others
    await write(session, besideRate, besideSeconds / 4);
    const alone: Done[] = [];
    const measured: Record<Command, Done[]> = { compare: [], fill: [], pacedCompare: [], pacedFill: [] };
    const runs: Record<Command, number> = { compare: 0, fill: 0, pacedCompare: 0, pacedFill: 0 };
    // in turns: what else the machine does is the same for all
    for (let turn = 0; turn < 3; turn++) {
      for (const what of Object.keys(COMMANDS) as Command[]) {
        const args = COMMANDS[what];
        alone.push(await write(session, besideRate, besideSeconds));
        const { done, printed } = await writeBeside(session, { rate: besideRate, seconds: besideSeconds, args });
        measured[what].push(done);
        runs[what] += printed.length;
      }
    }
    const fast = await writeBeside(session, { rate: besideFastRate, seconds: besideSeconds, args: COMPARE });
    await session.arrival(await session.mark());
    await session.assertEqual();
    const p99 = (some: readonly Done[]): number =>
      percentile(
        some.flatMap(({ took }) => took),
        99,
      );
    const p50 = (some: readonly Done[]): number =>
      percentile(
        some.flatMap(({ took }) => took),
        50,
      );
    const { transactions, started, finished } = fast.done;
    return {
      alone_p50_ms: p50(alone),
      alone_p99_ms: p99(alone),
      reconcile_p50_ms: p50(measured.compare),
      reconcile_p99_ms: p99(measured.compare),
      full_sync_p50_ms: p50(measured.fill),
      full_sync_p99_ms: p99(measured.fill),
      reconcile_p99_to_alone: p99(measured.compare) / p99(alone),
      full_sync_p99_to_alone: p99(measured.fill) / p99(alone),
      paced_reconcile_p99_to_alone: p99(measured.pacedCompare) / p99(alone),
      paced_full_sync_p99_to_alone: p99(measured.pacedFill) / p99(alone),
      // what the machine itself does between two measurements of the same
      alone_p99_spread: ratioOf(alone.map(({ took }) => percentile(took, 99))),
      reconcile_runs: runs.compare,
      full_sync_runs: runs.fill,
      paced_reconcile_runs: runs.pacedCompare,
      paced_full_sync_runs: runs.pacedFill,
      fast_per_second: (transactions * 1000) / (finished - started),
      fast_reconcile_runs: fast.printed.length,
      false_reports: fast.printed.reduce((sum, text) => sum + differing(text), 0),
    };
  },
};

async function write(session: Session, rate: number, seconds: number): Promise<Done> {
  const done = await session.writer.do({
    do: "paced",
    from: session.rows + 1,
    rate,
    seconds,
    clients: session.sizes.writers,
    updates: session.rows,
  });
  session.rows += done.transactions;
  return done;
}

/** One command after the other until the writers are through; the last one is waited for. */
async function writeBeside(
  session: Session,
  { rate, seconds, args }: { readonly rate: number; readonly seconds: number; readonly args: readonly string[] },
): Promise<{ readonly done: Done; readonly printed: readonly string[] }> {
  const printed: string[] = [];
  let writing = true;
  const commands = async (): Promise<void> => {
    while (writing) {
      const ran = await session.installed.command?.(...args);
      if (ran === undefined) throw new Error("the system has no commands");
      // a reconcile that reports something ends with 3: it is counted
      if (ran.code !== 0 && ran.code !== 3) throw new Error(`tombolo ${args.join(" ")} ended with ${ran.code}:\n${ran.printed}`);
      printed.push(ran.printed);
    }
  };
  const [done] = await Promise.all([
    write(session, rate, seconds).finally(() => {
      writing = false;
    }),
    commands(),
  ]);
  return { done, printed };
}

/** Rows that a reconcile reports, in all tables. */
function differing(printed: string): number {
  const counts = [...printed.matchAll(/"differing": ?(\d+)/g)].map(([, count]) => Number(count));
  if (counts.length === 0) throw new Error(`no counts in:\n${printed}`);
  return counts.reduce((sum, count) => sum + count, 0);
}

const ratioOf = (values: readonly number[]): number => spread(values).max / spread(values).min;
