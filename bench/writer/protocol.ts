/** What the writer process is told; one at a time. Ids are consecutive from `from`. */
export type Order =
  | { readonly do: "insert" | "update"; readonly from: number; readonly transactions: number; readonly rows: number; readonly pass: number }
  /** Updates of one row at random among `1..rows`, one transaction each, as fast as `clients` connections can. */
  | { readonly do: "singles"; readonly rows: number; readonly seconds: number; readonly clients: number }
  /** Whether commits wait for the disk, from here on (synchronous_commit); Postgres only. */
  | { readonly do: "durable"; readonly on: boolean }
  /** Inserts of one row per transaction at a fixed rate. */
  | { readonly do: "paced"; readonly from: number; readonly rate: number; readonly seconds: number; readonly clients: number }
  | { readonly do: "mark"; readonly token: string };

/** What it did. Times are of `measure/clock.ts`. */
export interface Done {
  readonly started: number;
  readonly finished: number;
  readonly transactions: number;
  /** Of `paced`: when each row's commit was confirmed. */
  readonly commits: readonly (readonly [id: number, at: number])[];
}

/** One writer over one engine. */
export interface Writer {
  insert(from: number, rows: number): Promise<void>;
  update(from: number, rows: number, pass: number): Promise<void>;
  /** On connection `client`, from 0. */
  updateOne(id: number, pass: number, client: number): Promise<void>;
  insertOne(id: number, client: number): Promise<void>;
  mark(token: string): Promise<void>;
  durable(on: boolean): Promise<void>;
  /** How many connections make sense. */
  readonly connections: number;
}
