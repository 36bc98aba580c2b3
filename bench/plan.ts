import type { Engine } from "./stores/store.ts";

/** From where to where. */
export interface Route {
  readonly name: "pg-pg" | "pg-sqlite" | "sqlite-pg";
  readonly title: string;
  readonly source: Engine;
  readonly target: Engine;
  readonly systems: readonly SystemName[];
}

export const SYSTEMS = ["tombolo", "tombolo-one-way", "native", "copy-loop", "bare"] as const;
export type SystemName = (typeof SYSTEMS)[number];

export const ROUTES: readonly Route[] = [
  {
    name: "pg-pg",
    title: "Postgres to Postgres",
    source: "postgres",
    target: "postgres",
    systems: ["tombolo", "tombolo-one-way", "native"],
  },
  { name: "pg-sqlite", title: "Postgres to SQLite", source: "postgres", target: "sqlite", systems: ["tombolo", "copy-loop"] },
  { name: "sqlite-pg", title: "SQLite to Postgres", source: "sqlite", target: "postgres", systems: ["tombolo"] },
];

/** How much of everything. Rows are about 80 bytes. */
export interface Sizes {
  /** Transactions of the bulk workloads, and the rows of each. */
  readonly transactions: number;
  readonly rowsPerTransaction: number;
  /** Rows that single-row writers update at random. */
  readonly table: number;
  readonly writers: number;
  readonly singlesSeconds: number;
  readonly lagSeconds: number;
  readonly backlog: number;
  readonly idleSettleSeconds: number;
  readonly idleSeconds: number;
  /** Until a workload must be through. */
  readonly patienceSeconds: number;
}

export const FULL: Sizes = {
  transactions: 200,
  rowsPerTransaction: 1000,
  table: 100_000,
  writers: 4,
  singlesSeconds: 5,
  lagSeconds: 10,
  backlog: 500_000,
  idleSettleSeconds: 8,
  idleSeconds: 20,
  patienceSeconds: 180,
};

export const SMOKE: Sizes = {
  transactions: 4,
  rowsPerTransaction: 500,
  table: 1000,
  writers: 4,
  singlesSeconds: 0.5,
  lagSeconds: 0.5,
  backlog: 4000,
  idleSettleSeconds: 0.2,
  idleSeconds: 0.5,
  patienceSeconds: 30,
};
