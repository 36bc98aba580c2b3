import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Environment, type Finished, freePort, tombolo, until } from "../../helpers/command.ts";
import { type Line, openLine } from "../../helpers/line.ts";
import { withClient } from "../../helpers/postgres.ts";
import { random } from "../../helpers/random.ts";
import { type SmallDisk, smallDisk } from "../../helpers/small-disk.ts";
import { Books } from "../books.ts";
import { type FilePlace, type Place, postgresPlace, sqlitePlace } from "../places.ts";
import { wrongClock } from "./clocks.ts";
import { EdgeSeat } from "./edge-seat.ts";
import type { Ground } from "./ground.ts";
import { Hub } from "./hub.ts";
import { installed } from "./installed.ts";
import { type Plan, putsBack } from "./plan.ts";
import { Replicators } from "./replicators.ts";
import { firstRows, SCHEMA, tables } from "./tables.ts";
import { Writer } from "./writer.ts";

export interface Grounds {
  readonly hub: Ground;
  readonly replica: Ground;
}

interface Disks {
  readonly store: SmallDisk | null;
  readonly hub: SmallDisk | null;
  readonly replica: SmallDisk | null;
}

/** The nodes of one history, as they run. */
export interface World {
  readonly plan: Plan;
  readonly folder: string;
  readonly grounds: Grounds;
  /** The hub first, then its children. */
  readonly places: readonly Place[];
  readonly hub: Place;
  readonly stores: readonly FilePlace[];
  readonly edges: readonly EdgeSeat[];
  readonly urls: { readonly hub: string; readonly replica: string };
  /** Of the replicator to the servers, and of the edges to the hub. */
  readonly lines: { readonly hub: Line; readonly replica: Line; readonly edges: Line };
  readonly replicators: Replicators;
  readonly operator: Hub;
  readonly books: Books;
  readonly writers: readonly Writer[];
  /** Where `stores[0]` and the servers' databases are, if theirs are disks that may be full. */
  readonly disks: Disks;
  /** Of places that have the tasks of one shop, by name. */
  readonly shopOf: ReadonlyMap<string, string>;
  /** Places that have the added column. */
  readonly withColumn: Set<Place>;
  command(...args: string[]): Promise<Finished>;
  close(): Promise<void>;
}

const YEAR_S = 31_557_600;
const PER_SECOND = { hub: 25, replica: 12, store: 8, edge: 6 };

const through = (url: string, line: Line): string => {
  const changed = new URL(url);
  changed.port = String(line.port);
  return changed.href;
};

interface Addresses {
  readonly hub: string;
  readonly replica: string;
  readonly stores: readonly FilePlace[];
  readonly port: number;
}

const paramsOf = (shop: string | undefined): string => (shop === undefined ? "" : `, params: { shop: ${shop} }`);

const shopsOf = ({ shops }: Plan): ReadonlyMap<string, string> =>
  new Map([
    ...(shops?.stores ?? []).map((shop, at) => [`store-${at + 1}`, shop] as const),
    ...(shops?.edges ?? []).map((shop, at) => [`edge-${at + 1}`, shop] as const),
  ]);

const topology = (plan: Plan, { hub, replica, stores, port }: Addresses): string => `version: 1
name: history
nodes:
  - { name: hub, type: postgres, url: "${hub}", capture: ${plan.hub} }
  - { name: replica, type: postgres, url: "${replica}", capture: ${plan.replica} }
${stores.map(({ name, path }) => `  - { name: ${name}, type: sqlite, path: "${path}" }`).join("\n")}
channels:
  - name: all
    tables:${tables(plan.shops === null ? null : "shop = :shop")}
links:
${["replica", ...stores.map(({ name }) => name)].map((name) => `  - { parent: hub, child: ${name}${paramsOf(shopsOf(plan).get(name))}, channels: [ { name: all, direction: both } ] }`).join("\n")}
groups: [ { name: shops, parent: hub${plan.shops === null ? "" : ", params: [shop]"}, channels: [ { name: all, direction: both } ] } ]
retry: { initial: 50ms, factor: 2, max: 500ms, jitter: true }
hub: { listen: 127.0.0.1:${port}, max_requests: 100000 }
metrics: off
${plan.columns === "carried" ? "ddl: add_columns" : ""}
`;

export async function openWorld(plan: Plan, grounds: Grounds): Promise<World> {
  const undo: (() => unknown)[] = [];
  try {
    return await opened(plan, grounds, undo);
  } catch (error) {
    for (const each of undo.reverse()) await each();
    throw error;
  }
}

async function opened(plan: Plan, grounds: Grounds, undo: (() => unknown)[]): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-history-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const disks = disksOf(plan);
  undo.push(...Object.values(disks).map((disk) => () => disk?.remove()));
  const [hubDatabase, replicaDatabase] = await Promise.all([
    grounds.hub.database({ years: plan.clocks.hub, disk: disks.hub }),
    grounds.replica.database({ years: plan.clocks.replica, disk: disks.replica }),
  ]);
  undo.push(hubDatabase.drop, replicaDatabase.drop);
  undo.push(...Object.values(disks).map((disk) => () => disk?.empty()));
  const port = await freePort();
  const lines = { hub: await openLine(grounds.hub.port), replica: await openLine(grounds.replica.port), edges: await openLine(port) };
  undo.push(...Object.values(lines).map((line) => () => line.close()));
  const file = (name: string, kind: "store" | "edge", where = folder): FilePlace =>
    sqlitePlace(name, kind, join(where, `${name}.db`), { schema: SCHEMA, timeoutMs: 300 });
  const stores = Array.from({ length: plan.stores }, (_, at) => file(`store-${at + 1}`, "store", at === 0 ? disks.store?.path : folder));
  const edgePlaces = plan.edges.map((_, at) => file(`edge-${at + 1}`, "edge"));
  const hub = postgresPlace("hub", "hub", hubDatabase.url, 3);
  const replica = postgresPlace("replica", "replica", replicaDatabase.url, 2);
  const places = [hub, replica, ...stores, ...edgePlaces];
  undo.push(...places.map((place) => () => place.close()));
  for (const { url } of [hubDatabase, replicaDatabase]) await withClient(url, (client) => client.query(SCHEMA));
  await withClient(hubDatabase.url, (client) => client.query(firstRows(places.map(({ name }) => name))));

  const topologyFile = join(folder, "topology.yaml");
  const addresses = { hub: through(hubDatabase.url, lines.hub), replica: through(replicaDatabase.url, lines.replica) };
  writeFileSync(topologyFile, topology(plan, { ...addresses, stores, port }));
  const env = wrongClock(plan.clocks.replicator * YEAR_S);
  const command = (...args: string[]): Promise<Finished> => tombolo(["-c", topologyFile, ...args], env);
  const token = await installed(topologyFile);
  const replicators = new Replicators(topologyFile, env);
  undo.push(() => replicators.kill());
  replicators.start();
  const operator = new Hub(`http://127.0.0.1:${port}`, token);
  await until("the hub answers", () => operator.answers(), 60_000);
  const edges = await seats(plan, { places: edgePlaces, operator, line: lines.edges });
  undo.push(...edges.map((edge) => () => edge.kill()));
  const [books, withColumn, shopOf] = [new Books(), new Set<Place>(), shopsOf(plan)];
  const writers = places.map((place, at) => {
    const isServer = place.kind === "hub" || place.kind === "replica";
    return new Writer({
      ...{ place, books, name: place.name },
      random: random(plan.seed * 1_000 + at),
      perSecond: PER_SECOND[place.kind],
      asynchronous: isServer ? plan.asynchronous : 0,
      hasExtra: () => withColumn.has(place),
      shop: shopOf.get(place.name) ?? null,
      isPlain: putsBack(plan, place.kind),
    });
  });
  undo.push(...writers.map((writer) => () => writer.stop()));
  return {
    ...{ plan, folder, grounds, places, hub, stores, edges, lines, replicators, operator, books, writers, disks },
    ...{ withColumn, shopOf, command },
    urls: { hub: hubDatabase.url, replica: replicaDatabase.url },
    async close() {
      for (const each of undo.reverse()) await each();
    },
  };
}

/** Megabytes; a database of Postgres is of seven to begin with. */
const DISK_MB = { store: 12, hub: 48, replica: 48 };

function disksOf({ faults }: Plan): Disks {
  const small = (which: keyof Disks): SmallDisk | null =>
    faults.some(({ name }) => name === `${which}'s disk full`) ? smallDisk(DISK_MB[which]) : null;
  return { store: small("store"), hub: small("hub"), replica: small("replica") };
}

async function seats(
  plan: Plan,
  { places, operator, line }: { readonly places: readonly FilePlace[]; readonly operator: Hub; readonly line: Line },
): Promise<EdgeSeat[]> {
  const env: Environment = wrongClock(plan.clocks.agents * YEAR_S);
  return Promise.all(
    places.map(async (place, at) => {
      const shop = shopsOf(plan).get(place.name);
      const code = await operator.enrolmentCode(place.name, "shops", shop === undefined ? {} : { shop });
      const seat = new EdgeSeat({ place, hub: line.url, code, kind: plan.edges[at] ?? "service", env });
      await seat.start();
      return seat;
    }),
  );
}
