export type Engine = "postgres" | "sqlite";

export const TABLE_NAMES = ["bench", "orders", "order_lines", "wide", "large"] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** Money and times are text in SQLite: a decimal would become a binary float there. */
type Kind = "key" | "number" | "text" | "money" | "time";

export interface Table {
  readonly name: TableName;
  readonly columns: readonly (readonly [name: string, kind: Kind])[];
  readonly references?: readonly [column: string, table: TableName];
  /** Rows read at once for a digest. */
  readonly page: number;
}

const TYPES: { readonly [kind in Kind]: { readonly [engine in Engine]: string } } = {
  key: { postgres: "bigint primary key", sqlite: "integer primary key" },
  number: { postgres: "bigint", sqlite: "integer" },
  text: { postgres: "text", sqlite: "text" },
  money: { postgres: "numeric(12,2)", sqlite: "text" },
  time: { postgres: "timestamptz", sqlite: "text" },
};

const numbered = (letter: string, count: number, kind: Kind) =>
  Array.from({ length: count }, (_, index) => [`${letter}${index + 1}`, kind] as const);

/** Rows of `bench` and `orders` have about 80 bytes, of `wide` 500 in 50 columns, of `large` 100 kB. */
export const TABLES: { readonly [name in TableName]: Table } = {
  bench: {
    name: "bench",
    columns: [
      ["id", "key"],
      ["customer", "text"],
      ["amount", "money"],
      ["at", "time"],
      ["note", "text"],
    ],
    page: 20_000,
  },
  orders: {
    name: "orders",
    columns: [
      ["id", "key"],
      ["customer", "text"],
      ["status", "text"],
      ["items", "number"],
    ],
    page: 20_000,
  },
  order_lines: {
    name: "order_lines",
    columns: [
      ["id", "key"],
      ["order_id", "number"],
      ["item", "text"],
      ["quantity", "number"],
    ],
    references: ["order_id", "orders"],
    page: 20_000,
  },
  wide: { name: "wide", columns: [["id", "key"], ...numbered("n", 24, "number"), ...numbered("t", 25, "text")], page: 5000 },
  large: {
    name: "large",
    columns: [
      ["id", "key"],
      ["note", "text"],
      ["body", "text"],
    ],
    page: 100,
  },
};

/** SQL for the values of row `i` of `wide`, the same in both engines. */
export const WIDE_VALUES = TABLES.wide.columns
  .map(([column, kind]) => (kind === "key" ? "i" : kind === "number" ? `i % 1000 + ${column.slice(1)}` : `'${column} of ' || (i % 5000)`))
  .join(", ");

/** What an application's migrations would run: all tables, empty, parents first. */
export function schemaFor(engine: Engine): string {
  return TABLE_NAMES.map((name) => createTable(TABLES[name], engine)).join(";\n");
}

function createTable({ name, columns, references }: Table, engine: Engine): string {
  const parts = columns.map(([column, kind]) => `${column} ${TYPES[kind][engine]}`);
  if (references === undefined) return `create table ${name} (${parts.join(", ")})`;
  const [column, parent] = references;
  return `create table ${name} (${parts.join(", ")}, foreign key (${column}) references ${parent});
create index ${name}_${column} on ${name} (${column})`;
}

/** Expressions that read a row of a table, so that equal rows read alike in both engines once `comparable` has seen them. */
export function readList({ columns }: Table, engine: Engine): string {
  if (engine === "sqlite") return columns.map(([column]) => column).join(", ");
  return columns
    .map(([column, kind]) => (kind === "time" ? `(extract(epoch from ${column}) * 1000)::bigint::text` : `${column}::text`))
    .join(", ");
}

/** One line for a digest. Times of SQLite are as Postgres prints them in UTC, `2026-01-02 03:04:05.678+00`. */
export function comparable({ columns }: Table, engine: Engine, row: readonly unknown[]): string {
  const values = row.map((value, index) =>
    engine === "sqlite" && columns[index]![1] === "time" ? Date.parse(String(value).replace(/^(\S+) (\S+?)\+00$/, "$1T$2Z")) : value,
  );
  return `${values.join("\u001f")}\n`;
}
