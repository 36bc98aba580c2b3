import { type Random, random } from "../../helpers/random.ts";
import { SHOPS } from "./tables.ts";

/** What a seed makes of a history: who takes part, how, and what goes wrong in which order. */
export interface Plan {
  readonly seed: number;
  readonly hub: "trigger" | "slot";
  readonly replica: "trigger" | "slot";
  /** SQLite files that the replicator opens. */
  readonly stores: number;
  /** SQLite files whose agent speaks HTTP: in the application, or a process beside it. */
  readonly edges: readonly ("service" | "process")[];
  /** How many years the clocks are off. */
  readonly clocks: { readonly hub: number; readonly replica: number; readonly replicator: number; readonly agents: number };
  /** Whether added columns are carried over, or a person adds them everywhere. */
  readonly columns: "carried" | "by hand";
  /** Of the commits at the servers, so many are not waited for. */
  readonly asynchronous: number;
  readonly faults: readonly { readonly name: FaultName; readonly afterMs: number }[];
  /** Whose tasks each store and each edge has; null where everybody has all. */
  readonly shops: { readonly stores: readonly string[]; readonly edges: readonly string[] } | null;
}

/** With how likely each is. Those below one happen once in a history: each wants work of its own at the end. */
const WEIGHTS = {
  "replicator killed": 5,
  "replicator stopped": 2,
  "second replicator": 2,
  "hub's server killed": 4,
  "replica's server killed": 3,
  "agent killed": 3,
  "edges cut off": 2,
  "edges on a bad line": 4,
  "hub's server cut off": 2,
  "replica's server cut off": 2,
  "long transaction": 3,
  "prepared transaction": 3,
  "store's disk full": 0.8,
  "column added": 0.8,
  "store restored": 0.7,
  "edge restored": 0.7,
  "edge cloned": 0.6,
} as const;
type Drawn = keyof typeof WEIGHTS;
/** Those that are drawn by themselves, of a whole server. */
type PutBack = "replica restored" | "hub restored";
type Full = "hub's disk full" | "replica's disk full";
export type FaultName = Drawn | PutBack | Full;

const NEED_EDGES: ReadonlySet<Drawn> = new Set(["edges cut off", "edges on a bad line", "edge restored", "edge cloned"]);
/** One of these in a history: what each does to a file and its past would be the other's excuse. */
const EXCLUSIVE: ReadonlySet<Drawn> = new Set(["store restored", "edge restored", "edge cloned", "store's disk full"]);

export function planOf(seed: number): Plan {
  const dice = random(seed);
  const { int, pick, chance } = dice;
  const stores = 1 + int(3);
  const edges = Array.from(
    { length: 3 - Math.min(stores, 2) + int(4) },
    () => (chance(0.35) ? "process" : "service") as "process" | "service",
  );
  const years = (): number => (chance(0.3) ? pick([-10, 10]) : 0);
  const plan = {
    seed,
    hub: chance(0.35) ? "slot" : "trigger",
    replica: chance(0.35) ? "slot" : "trigger",
    stores,
    edges,
    clocks: { hub: years(), replica: years(), replicator: years(), agents: years() },
    columns: chance(0.5) ? "carried" : "by hand",
    asynchronous: pick([0, 0, 0.3, 0.8]),
    faults: faultsOf(dice, { edges }),
  } as const;
  const shops = (count: number): string[] => Array.from({ length: count }, () => pick(SHOPS));
  // what came later is drawn last: a seed is otherwise what it was
  const filtered = chance(0.6) ? { stores: shops(stores), edges: shops(edges.length) } : null;
  const first = chance(0.2) ? withFault("replica restored", plan.faults, dice, APART_FROM_PUT_BACK) : plan.faults;
  const second = chance(0.15) ? withFault("hub restored", first, dice, APART_FROM_PUT_BACK) : first;
  return { ...plan, shops: filtered, faults: chance(0.15) ? withFullDisk(pick(["hub", "replica"]), second, dice) : second };
}

const PUTS_BACK: { readonly [kind: string]: readonly FaultName[] } = {
  hub: ["hub restored"],
  replica: ["replica restored", "hub restored"],
  store: ["store restored", "hub restored"],
  edge: ["edge restored", "edge cloned", "hub restored"],
};

/**
 * Whether a place of this kind, or its parent, is put back to a copy. What is under way when that is taken is judged twice, which is not for counters and for halves of
 * transfers: docs/full-sync.md says so.
 */
export const putsBack = ({ faults }: Pick<Plan, "faults">, kind: string): boolean =>
  faults.some(({ name }) => PUTS_BACK[kind]?.includes(name) === true);

/** Where nothing else puts a database back, or changes what a table is. */
const APART_FROM_PUT_BACK: ReadonlySet<FaultName> = new Set([...EXCLUSIVE, "column added", "replica restored"]);

/** At some place among the others, where none of these is `apart`. */
function withFault(name: PutBack | Full, faults: Plan["faults"], { int }: Random, apart: ReadonlySet<FaultName>): Plan["faults"] {
  const at = int(faults.length);
  if (faults.some((fault) => apart.has(fault.name))) return faults;
  return [...faults.slice(0, at), { name, afterMs: 150 + int(700) }, ...faults.slice(at)];
}

/** No copy is taken of the server without what is on that disk. */
function withFullDisk(which: "hub" | "replica", faults: Plan["faults"], dice: Random): Plan["faults"] {
  return withFault(`${which}'s disk full`, faults, dice, new Set<FaultName>([`${which} restored`]));
}

function faultsOf({ int, chance }: Random, { edges }: Pick<Plan, "edges">): { name: Drawn; afterMs: number }[] {
  const left = new Map(Object.entries(WEIGHTS) as [Drawn, number][]);
  if (edges.length === 0) for (const name of NEED_EDGES) left.delete(name);
  if (!edges.includes("process")) left.delete("agent killed");
  const drawn: { name: Drawn; afterMs: number }[] = [];
  for (let at = 5 + int(4); at > 0; at--) {
    const name = drawnFrom(left, int(1_000) / 1_000);
    if (WEIGHTS[name] < 1) left.delete(name);
    if (EXCLUSIVE.has(name)) for (const each of EXCLUSIVE) left.delete(each);
    // some come at once with the one before
    drawn.push({ name, afterMs: chance(0.2) ? 0 : 150 + int(700) });
  }
  return drawn;
}

/** `height`: 0 up to 1. */
function drawnFrom(left: ReadonlyMap<Drawn, number>, height: number): Drawn {
  let rest = height * [...left.values()].reduce((sum, weight) => sum + weight, 0);
  for (const [name, weight] of left) {
    rest -= weight;
    if (rest < 0) return name;
  }
  return "replicator killed";
}

/** In one line. */
export function told({ seed, hub, replica, stores, edges, clocks, columns, asynchronous, faults, shops }: Plan): string {
  const off = Object.entries(clocks).flatMap(([who, years]) => (years === 0 ? [] : [`${who} ${years > 0 ? "+" : ""}${years} y`]));
  const agents = edges.map((kind) => (kind === "process" ? "p" : "s")).join("");
  return [
    `TOMBOLO_SEED=${seed}`,
    `hub by ${hub}, replica by ${replica}`,
    `${stores} stores, ${edges.length} edges ${agents}`,
    off.length === 0 ? "clocks right" : `clocks ${off.join(" ")}`,
    `columns ${columns}`,
    `asynchronous ${asynchronous}`,
    shops === null ? "no filter" : `tasks of ${[...shops.stores, ...shops.edges].join(" ")}`,
    faults.map(({ name }) => name).join(", "),
  ].join("; ");
}
