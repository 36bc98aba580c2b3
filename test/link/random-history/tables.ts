import type { Policy, SimplePolicy } from "../../../replicator/change/verdict.ts";
import type { TestTable } from "../../helpers/nodes.ts";

/**
 * The tables of a random history. Between them they have what makes a merge of rows hard: unique values that move, a table that refers to
 * itself, a cascade, checks that two edits break only together, columns that belong together, texts and counters that are merged.
 */
export const SCHEMA = `
  create table doc (id integer primary key, a text, b text, code text unique);
  create table task (id integer primary key, title text, boss integer references task);
  create table box (id integer primary key, label text);
  create table thing (id integer primary key, box integer not null references box on delete cascade, label text);
  create table profile (id integer primary key, city text, zip text, p text, q text, lo bigint, hi bigint, bio text,
    check (p is not null or q is not null), check (lo <= hi));
  create table slow (id integer primary key, body text);
  create table tally (id integer primary key, n bigint not null default 0, top bigint not null default 0, note text);
`;

export const COLUMNS = {
  doc: ["a", "b", "code"],
  task: ["title", "boss"],
  box: ["label"],
  thing: ["box", "label"],
  profile: ["city", "zip", "p", "q", "lo", "hi", "bio"],
  slow: ["body"],
  tally: ["n", "top", "note"],
} as const;

export type TableName = keyof typeof COLUMNS;
export const TABLES = Object.keys(COLUMNS) as TableName[];
/** Whose conflicts may be decided by any policy; those of `tally` are always merged, so that its sums can be checked. */
export const DECIDED = ["doc", "task", "box", "thing", "profile"] as const;
export type DecidedTable = (typeof DECIDED)[number];

export interface Deciding {
  readonly policy: Exclude<Policy, "module">;
  readonly otherwise: SimplePolicy;
}
export type Rules = { readonly [table in DecidedTable]: Deciding };

export type Tree = keyof typeof TREES;

/** What is fixed for as long as the nodes stand. */
export interface Variant {
  readonly tree: Tree;
  readonly detect: "column" | "row";
  /** Tables that refer to each other travel in packets of their own. */
  readonly apart: boolean;
  readonly capture: "trigger" | "slot";
  /** Of a batch: few make many parts. */
  readonly maxRows: number;
}

/** Engine and, by index, parent of each node: a hub over a middle and a leaf, two leaves under the middle. */
export const TREES = {
  postgres: [
    { name: "hub", engine: "postgres", parent: null },
    { name: "middle", engine: "postgres", parent: 0 },
    { name: "leaf-a", engine: "sqlite", parent: 0 },
    { name: "leaf-b", engine: "sqlite", parent: 1 },
    { name: "leaf-c", engine: "sqlite", parent: 1 },
  ],
  sqlite: [
    { name: "hub", engine: "sqlite", parent: null },
    { name: "middle", engine: "sqlite", parent: 0 },
    { name: "leaf-a", engine: "sqlite", parent: 0 },
    { name: "leaf-b", engine: "sqlite", parent: 1 },
    { name: "leaf-c", engine: "sqlite", parent: 1 },
  ],
  mixed: [
    { name: "hub", engine: "sqlite", parent: null },
    { name: "middle", engine: "postgres", parent: 0 },
    { name: "leaf-a", engine: "postgres", parent: 0 },
    { name: "leaf-b", engine: "sqlite", parent: 1 },
    { name: "leaf-c", engine: "sqlite", parent: 1 },
  ],
} as const;

export function testTables(rules: Rules, { detect, apart }: Variant): TestTable[] {
  const channel = (name: string) => ({ channel: apart && (name === "box" || name === "tally") ? "b" : "a" });
  return [
    ...DECIDED.map((name): TestTable => {
      const { policy, otherwise } = rules[name];
      return {
        name,
        policy,
        detect,
        otherwise,
        ...channel(name),
        ...(name === "profile" && { groups: [["city", "zip"]] }),
        ...(name === "profile" && policy === "merge" && { mergeColumns: { bio: "text" } }),
      };
    }),
    { name: "slow", ...channel("slow") },
    { name: "tally", policy: "merge", detect, otherwise: "newest_wins", mergeColumns: { n: "counter", top: "max" }, ...channel("tally") },
  ];
}
