import type { Engine } from "./stores/tables.ts";

/** From where to where. */
export interface Route {
  readonly name: "pg-pg" | "pg-sqlite" | "sqlite-pg";
  readonly title: string;
  readonly source: Engine;
  readonly target: Engine;
  readonly systems: readonly SystemName[];
}

export const SYSTEMS = [
  "tombolo",
  "tombolo-slot",
  "tombolo-one-way",
  "tombolo-http",
  "native",
  "pglogical",
  "bucardo",
  "copy-loop",
  "copy",
  "bare",
] as const;
export type SystemName = (typeof SYSTEMS)[number];

export const ROUTES: readonly Route[] = [
  {
    name: "pg-pg",
    title: "Postgres to Postgres",
    source: "postgres",
    target: "postgres",
    systems: ["tombolo", "tombolo-slot", "tombolo-one-way", "native", "pglogical", "bucardo"],
  },
  {
    name: "pg-sqlite",
    title: "Postgres to SQLite",
    source: "postgres",
    target: "sqlite",
    systems: ["tombolo", "tombolo-slot", "tombolo-http", "copy-loop"],
  },
  { name: "sqlite-pg", title: "SQLite to Postgres", source: "sqlite", target: "postgres", systems: ["tombolo", "tombolo-http"] },
];

/** What keeps two databases in step beside the stream, measured apart from the workloads that write: a full sync, and comparing. */
export const UPKEEP = ["full-sync", "reconcile"] as const;
export const UPKEEP_ROUTES = ["pg-pg", "pg-sqlite"] as const;

/** Measured apart from the routes between two databases. */
export const ASIDE = { writers: "capture", "fan-out": "fan-out" } as const;

const COMPARED: readonly SystemName[] = ["tombolo", "tombolo-slot", "native", "pglogical", "bucardo"];
const OWN: readonly SystemName[] = ["tombolo"];

/** Where a workload says something new, for those that do not say it everywhere; a route that is missing here has none of it. */
export const PLACES: { readonly [workload: string]: { readonly [route in Route["name"]]?: readonly SystemName[] } } = {
  deletes: { "pg-pg": COMPARED, "pg-sqlite": OWN, "sqlite-pg": OWN },
  mixed: { "pg-pg": COMPARED, "pg-sqlite": OWN, "sqlite-pg": OWN },
  wide: { "pg-pg": COMPARED, "pg-sqlite": OWN, "sqlite-pg": OWN },
  "large-values": { "pg-pg": COMPARED, "pg-sqlite": OWN },
  // 40 changes of each row: Bucardo keeps only which rows changed, and would be given a gift
  backlog: { "pg-pg": ["tombolo", "tombolo-slot", "native", "pglogical"], "pg-sqlite": OWN, "sqlite-pg": OWN },
  steady: { "pg-pg": ["tombolo", "tombolo-slot", "native"], "pg-sqlite": OWN },
  beside: { "pg-pg": OWN, "pg-sqlite": OWN },
  "two-way": { "pg-pg": COMPARED, "pg-sqlite": OWN },
  exchange: { "pg-sqlite": ["tombolo", "tombolo-http"] },
};
/** What the way over HTTP costs. */
const OVER_HTTP = ["inserts", "updates", "singles", "lag-500", "exchange", "idle"];
/** The one-way link is there to be compared with the two-way one: what judging costs. */
const ONE_WAY = ["inserts", "updates"];

export function takesPlace(workload: string, route: Route["name"], system: SystemName): boolean {
  if (system === "tombolo-one-way") return ONE_WAY.includes(workload);
  const places = PLACES[workload];
  if (system === "tombolo-http") return OVER_HTTP.includes(workload) && (places === undefined || places[route] !== undefined);
  return places === undefined || (places[route]?.includes(system) ?? false);
}

/** How much of everything. */
export interface Sizes {
  /** Transactions of `inserts` and `updates`, and the rows of each. */
  readonly transactions: number;
  readonly rowsPerTransaction: number;
  /** Transactions of the other workloads of large transactions; of each end, where both write. */
  readonly fewerTransactions: number;
  /** Rows that single-row writers update at random. */
  readonly table: number;
  readonly wideRows: number;
  readonly largeRows: number;
  readonly writers: number;
  readonly singlesSeconds: number;
  readonly lagSeconds: number;
  readonly exchanges: number;
  /** Changes, and the rows that they are of. */
  readonly backlog: number;
  readonly backlogRows: number;
  readonly fanOutNodes: number;
  readonly fanOutTransactions: number;
  readonly idleSettleSeconds: number;
  readonly idleSeconds: number;
  readonly upkeepRows: number;
  readonly steadyRate: number;
  readonly steadySeconds: number;
  /** Rows that reconciles and full syncs go through beside the writers; the writers' transactions per second, also where only false reports count; each stretch. */
  readonly besideRows: number;
  readonly besideRate: number;
  readonly besideFastRate: number;
  readonly besideSeconds: number;
  /** Until a workload must be through. */
  readonly patienceSeconds: number;
}

export const FULL: Sizes = {
  transactions: 200,
  rowsPerTransaction: 1000,
  fewerTransactions: 80,
  table: 100_000,
  wideRows: 20_000,
  largeRows: 400,
  writers: 4,
  singlesSeconds: 5,
  lagSeconds: 10,
  exchanges: 100,
  backlog: 2_000_000,
  backlogRows: 50_000,
  fanOutNodes: 50,
  fanOutTransactions: 20,
  idleSettleSeconds: 8,
  idleSeconds: 20,
  upkeepRows: 1_000_000,
  steadyRate: 2000,
  steadySeconds: Number(process.env.BENCH_STEADY_SECONDS ?? 180),
  besideRows: 1_000_000,
  besideRate: 500,
  besideFastRate: 2000,
  besideSeconds: 20,
  patienceSeconds: 300,
};

export const SMOKE: Sizes = {
  transactions: 4,
  rowsPerTransaction: 500,
  fewerTransactions: 2,
  table: 1000,
  wideRows: 500,
  largeRows: 20,
  writers: 4,
  singlesSeconds: 0.5,
  lagSeconds: 0.5,
  exchanges: 3,
  backlog: 4000,
  backlogRows: 500,
  fanOutNodes: 3,
  fanOutTransactions: 2,
  idleSettleSeconds: 0.2,
  idleSeconds: 0.5,
  upkeepRows: 2000,
  steadyRate: 200,
  steadySeconds: 1,
  besideRows: 2000,
  besideRate: 100,
  besideFastRate: 200,
  besideSeconds: 1,
  patienceSeconds: 30,
};
