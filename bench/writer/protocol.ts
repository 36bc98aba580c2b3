/** Kinds of transactions over consecutive rows; `mixed` and `orders` write orders with their lines, the others one table each. */
export const BULKS = [
  "insert",
  "update",
  "delete",
  "orders",
  "mixed",
  "wide-insert",
  "wide-update",
  "large-insert",
  "large-update",
] as const;
export type Bulk = (typeof BULKS)[number];

/** What the writer process is told; one at a time. Ids are consecutive from `from`. */
export type Order =
  | {
      readonly do: "bulk";
      readonly bulk: Bulk;
      readonly from: number;
      readonly transactions: number;
      readonly rows: number;
      readonly pass: number;
    }
  /** Updates of one row at random among `1..rows`, one transaction each, as fast as `clients` connections can. */
  | { readonly do: "singles"; readonly rows: number; readonly seconds: number; readonly clients: number }
  /** Whether commits wait for the disk, from here on (synchronous_commit); Postgres only. */
  | { readonly do: "durable"; readonly on: boolean }
  /** Inserts of one row per transaction at a fixed rate; with `updates`, every other one updates one of the rows `1..updates` instead. */
  | {
      readonly do: "paced";
      readonly from: number;
      readonly rate: number;
      readonly seconds: number;
      readonly clients: number;
      readonly updates?: number;
    }
  | { readonly do: "mark"; readonly id: number; readonly token: string };

/** What it did. Times are of `measure/clock.ts`. */
export interface Done {
  readonly started: number;
  readonly finished: number;
  readonly transactions: number;
  /** Rows inserted, updated and deleted. */
  readonly changes: number;
  /** Of `paced`: how long each transaction took its writer, milliseconds. */
  readonly took: readonly number[];
  /** Of `paced` without updates: when each row's commit was confirmed. */
  readonly commits: readonly (readonly [id: number, at: number])[];
}

/** One writer over one engine. */
export interface Writer {
  /** One transaction. Answers how many rows it changed. */
  bulk(bulk: Bulk, from: number, rows: number, pass: number): Promise<number>;
  /** On connection `client`, from 0. */
  updateOne(id: number, pass: number, client: number): Promise<void>;
  insertOne(id: number, client: number): Promise<void>;
  mark(id: number, token: string): Promise<void>;
  durable(on: boolean): Promise<void>;
  /** How many connections make sense. */
  readonly connections: number;
}
