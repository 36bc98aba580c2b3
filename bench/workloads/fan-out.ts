import { setTimeout as sleep } from "node:timers/promises";
import type { Clusters } from "../clusters.ts";
import { now } from "../measure/clock.ts";
import { cpuOf, cpuSecondsBetween, watchProcess } from "../measure/process.ts";
import type { Sizes } from "../plan.ts";
import type { PostgresStore } from "../stores/postgres.ts";
import { MARKER_ID, type Store } from "../stores/store.ts";
import { TABLE_NAMES } from "../stores/tables.ts";
import { tomboloBackends } from "../systems/tombolo.ts";
import { TomboloProcess } from "../systems/tombolo-process.ts";
import { WriterClient } from "../writer/writer.ts";
import type { Figures } from "./workload.ts";

const POLL_MS = 2;
/** Tuples of the change log that anything has read, by scan or by index. */
const LOG_READS = `select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables
  where relid in (select inhrelid from pg_inherits where inhparent = 'tombolo.change'::regclass)`;

interface FanOutOptions {
  readonly clusters: Clusters;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
}

/** One hub and its SQLite nodes: what each node costs beyond the first, and how often the hub reads its log for all of them. */
export async function fanOut(options: FanOutOptions): Promise<Figures> {
  const nodes = options.sizes.fanOutNodes;
  const one = await withNodes(options, 1);
  const all = await withNodes(options, nodes);
  const extra = (all.cpu - one.cpu) / (nodes - 1);
  return {
    one_equal_seconds: one.seconds,
    all_equal_seconds: all.seconds,
    deliveries_per_second: (nodes * all.changes) / all.seconds,
    first_node_cpu_seconds: one.cpu,
    extra_node_cpu_seconds: extra,
    ...(one.cpu > 0 ? { extra_node_to_first: extra / one.cpu } : {}),
    log_reads_per_change: all.logReads / all.changes,
    idle_cpu_percent: all.idlePercent,
    ...(all.peakBytes === null ? {} : { peak_rss_bytes: all.peakBytes }),
    wire_bytes_per_change: all.wire / all.changes / nodes,
  };
}

interface FanOutRun {
  readonly seconds: number;
  /** Of the replicator and the hub's server processes that work for it. */
  readonly cpu: number;
  readonly changes: number;
  readonly logReads: number;
  readonly idlePercent: number;
  readonly peakBytes: number | null;
  readonly wire: number;
}

async function withNodes({ clusters, sizes, signal }: FanOutOptions, count: number): Promise<FanOutRun> {
  const name = clusters.freshName();
  const undo: (() => Promise<void>)[] = [];
  try {
    const hub = (await clusters.create("source", "postgres", name)) as PostgresStore;
    undo.push(() => clusters.drop(hub));
    const nodes: Store[] = [];
    for (let index = 1; index <= count; index++) {
      const node = await clusters.create("target", "sqlite", `${name}_${index}`);
      undo.push(() => clusters.drop(node));
      nodes.push(node);
    }
    const { directory } = clusters;
    const tombolo = await TomboloProcess.apply({ name, directory, topology: topology(nodes), env: { BENCH_SOURCE: hub.location } });
    undo.push(() => tombolo.stop());
    const writer = await WriterClient.start(hub);
    undo.push(() => writer.stop());
    return await measure({ hub, nodes, tombolo, writer, sizes, signal });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

interface FanOut {
  readonly hub: PostgresStore;
  readonly nodes: readonly Store[];
  readonly tombolo: TomboloProcess;
  readonly writer: WriterClient;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
}

async function measure(run: FanOut): Promise<FanOutRun> {
  const { hub, tombolo, writer, sizes } = run;
  tombolo.start();
  await markEverywhere(run, "begin");

  const backends = cpuOf(await tomboloBackends([hub]));
  const wire = await tombolo.wireBytes();
  const watch = watchProcess(() => tombolo.pid);
  const { fanOutTransactions: transactions, rowsPerTransaction: rows } = sizes;
  const { started, changes } = await writer.do({ do: "bulk", bulk: "insert", from: 1, transactions, rows, pass: 0 });
  const arrived = await markEverywhere(run, "end");
  const { peakBytes, cpuSeconds } = watch.stop();
  const cpu = (cpuSeconds ?? 0) + cpuSecondsBetween(backends, cpuOf(await tomboloBackends([hub])));
  const sent = (await tombolo.wireBytes()) - wire;
  await assertEqual(run);

  await sleep(sizes.idleSettleSeconds * 1000);
  const idle = watchProcess(() => tombolo.pid);
  await sleep(sizes.idleSeconds * 1000);
  const idlePercent = ((idle.stop().cpuSeconds ?? 0) / sizes.idleSeconds) * 100;

  // a server process tells what it has read when it ends, at the latest
  await tombolo.stop();
  while ((await tomboloBackends([hub])).length > 0) await sleep(10);
  const logReads = await hub.number(LOG_READS);
  return { seconds: (arrived - started) / 1000, cpu, changes, logReads, idlePercent, peakBytes, wire: sent };
}

/** When the last node showed a last write. */
async function markEverywhere({ nodes, tombolo, writer, sizes, signal }: FanOut, token: string): Promise<number> {
  await writer.do({ do: "mark", id: MARKER_ID, token });
  const deadline = now() + sizes.patienceSeconds * 1000;
  for (const node of nodes) {
    while ((await node.marker(MARKER_ID)) !== token) {
      signal.throwIfAborted();
      tombolo.assertAlive();
      if (now() > deadline) throw new Error(`the marker (${token}) did not arrive everywhere in ${sizes.patienceSeconds} s`);
      await sleep(POLL_MS);
    }
  }
  return now();
}

async function assertEqual({ hub, nodes }: FanOut): Promise<void> {
  const { rows, sha256 } = await hub.digest("bench");
  for (const [index, node] of nodes.entries()) {
    const there = await node.digest("bench");
    if (there.rows !== rows || there.sha256 !== sha256) throw new Error(`node ${index + 1} of ${nodes.length} differs from the hub`);
  }
}

function topology(nodes: readonly Store[]): string {
  const names = nodes.map((_, index) => `node-${index + 1}`);
  return `version: 1
name: fan-out
nodes:
  - { name: hub, type: postgres, url: "\${BENCH_SOURCE}" }
${nodes.map(({ location }, index) => `  - { name: ${names[index]}, type: sqlite, path: ${JSON.stringify(location)} }`).join("\n")}
channels:
  - { name: bench, tables: [${TABLE_NAMES.join(", ")}] }
links:
${names.map((name) => `  - { parent: hub, child: ${name}, channels: [{ name: bench, direction: both }] }`).join("\n")}
`;
}
