import { pipeline } from "node:stream/promises";
import Database from "better-sqlite3";
import pg from "pg";
import { from, to } from "pg-copy-streams";
import { UNSEEN } from "../../test/helpers/capture-switch.ts";
import type { Clusters } from "../clusters.ts";
import { now } from "../measure/clock.ts";
import type { Sizes } from "../plan.ts";
import { type Session, withSession } from "../session.ts";
import { PostgresStore } from "../stores/postgres.ts";
import type { Store } from "../stores/store.ts";
import type { Engine } from "../stores/tables.ts";
import { tombolo } from "../systems/tombolo.ts";
import type { Figures } from "./workload.ts";

interface UpkeepOptions {
  readonly clusters: Clusters;
  readonly sizes: Sizes;
  readonly signal: AbortSignal;
  readonly target: Engine;
}

/** What a full sync and a reconcile need; `copy` is the yardstick of the first, between two Postgres. */
export interface Upkeep {
  readonly fullSync: Figures;
  readonly reconcile: Figures;
  readonly copy: Figures | null;
}

const CHILD = "target";
const LINK = "source/target";
const REPAIRS_NEEDED = 3;

/**
 * A child without a row is filled with all of them, as `tombolo full-sync` does it; then the two are compared; then one row that was changed
 * behind capture's back is found and repaired. Times are of the whole command. The copy first, so that the source's cache is as warm for both.
 */
export async function upkeep(options: UpkeepOptions): Promise<Upkeep> {
  const verified = await withRows(options, (session) => command(session, 0, "full-sync", CHILD, "--yes", "--verify"));
  return withRows(options, async (session) => {
    const { source, target, rows } = session;
    const copy = source instanceof PostgresStore && target instanceof PostgresStore ? await copied(source, target) : null;
    const filled = await command(session, 0, "full-sync", CHILD, "--yes");
    await session.assertEqual();
    const compared = await command(session, 0, "reconcile", "--link", LINK);
    await unseen(target, `update bench set note = 'changed unseen' where id = ${Math.ceil(rows / 2)}`);
    const found = await command(session, REPAIRS_NEEDED, "reconcile", "--link", LINK);
    const repaired = await command(session, 0, "reconcile", "--link", LINK, "--repair", "parent", "--yes");
    await session.assertEqual();
    return {
      fullSync: {
        rows_per_second: rows / filled.seconds,
        verified_seconds: verified.seconds,
        ...peak(verified.peakBytes, filled.peakBytes),
      },
      reconcile: {
        compared_per_second: rows / compared.seconds,
        found_seconds: found.seconds,
        repaired_seconds: repaired.seconds,
        ...peak(compared.peakBytes, found.peakBytes, repaired.peakBytes),
      },
      copy: copy === null ? null : { rows_per_second: rows / copy },
    };
  });
}

/** Two databases in step but for rows that the source has and the target does not. Nothing replicates. */
function withRows<T>({ clusters, sizes, signal, target }: UpkeepOptions, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession({ clusters, sizes, signal, system: tombolo, source: "postgres", target }, async (session) => {
    await session.installed.pause();
    // the marker, by which it was seen that rows arrive: a child with a row is not filled the same way
    await unseen(session.target, "delete from bench");
    await session.load(sizes.upkeepRows);
    return work(session);
  });
}

interface Ran {
  readonly seconds: number;
  readonly peakBytes: number | null;
}

async function command({ installed }: Session, expected: number, ...args: readonly string[]): Promise<Ran> {
  const ran = await installed.command?.(...args);
  if (ran === undefined) throw new Error("the system has no commands");
  if (ran.code !== expected) throw new Error(`tombolo ${args.join(" ")} ended with ${ran.code}:\n${ran.printed}`);
  return ran;
}

const peak = (...bytes: readonly (number | null)[]): Figures => {
  const known = bytes.filter((value) => value !== null);
  return known.length === 0 ? {} : { peak_rss_bytes: Math.max(...known) };
};

/** Seconds that `COPY … TO STDOUT` of one into `COPY … FROM STDIN` of the other takes, into a table with the same key. */
async function copied(source: PostgresStore, target: PostgresStore): Promise<number> {
  await target.run("create table copied (like bench including all)");
  const [reader, writer] = [source, target].map(({ location }) => new pg.Client({ connectionString: location })) as [pg.Client, pg.Client];
  try {
    await Promise.all([reader.connect(), writer.connect()]);
    const started = now();
    await pipeline(reader.query(to("copy bench to stdout")), writer.query(from("copy copied from stdin")));
    return (now() - started) / 1000;
  } finally {
    await Promise.all([reader.end(), writer.end()]);
    await target.run("drop table copied");
  }
}

/** A write that capture does not see. */
async function unseen(store: Store, change: string): Promise<void> {
  if (store instanceof PostgresStore) return store.run(UNSEEN.postgres(change));
  const database = new Database(store.location);
  database.exec(`begin; ${UNSEEN.sqlite(change)}; commit`);
  database.close();
}
