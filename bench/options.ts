import { parseArgs } from "node:util";
import { TomboloError } from "../replicator/change/error.ts";
import { ASIDE, ROUTES, SYSTEMS, UPKEEP } from "./plan.ts";
import { WORKLOADS } from "./workloads/all.ts";

const ROUTE_NAMES = [...ROUTES.map(({ name }) => name), ...Object.keys(ASIDE)];
const WORKLOAD_NAMES = [...WORKLOADS.map(({ name }) => name), ...UPKEEP, ...Object.values(ASIDE)];

export const USAGE = `npm run bench -- [--smoke] [--only NAME,NAME] [--rounds N] [--out DIRECTORY]

  --smoke   tiny sizes, one round, no judgement: does every system and every workload work? Under 90 s.
  --only    systems (${SYSTEMS.join(", ")}), routes (${ROUTE_NAMES.join(", ")})
            and workloads (${WORKLOAD_NAMES.join(", ")});
            of each kind that is not named, all.
  --rounds  how often everything is repeated, systems in turn (3)
  --out     where latest.json and rows-per-second.svg go (bench/results); a smoke test and a partial run write nothing without it
`;

export interface BenchOptions {
  readonly smoke: boolean;
  readonly rounds: number;
  readonly out: string | null;
  readonly help: boolean;
  /** Whether a route, system or workload of this name takes part. */
  readonly wants: (kind: "system" | "route" | "workload", name: string) => boolean;
  readonly partial: boolean;
}

/** Throws `BENCH_USAGE` (usage). */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      smoke: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      out: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const known = {
    system: new Set<string>(SYSTEMS),
    route: new Set<string>(ROUTE_NAMES),
    workload: new Set<string>(WORKLOAD_NAMES),
  };
  const named = values.only.flatMap((list) => list.split(",")).filter((name) => name !== "");
  for (const name of named) {
    if (!Object.values(known).some((names) => names.has(name))) throw usage(`--only does not know ${name}`);
  }
  const rounds = values.rounds === undefined ? (values.smoke ? 1 : 3) : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw usage("--rounds is a whole number from 1");
  return {
    smoke: values.smoke,
    rounds,
    out: values.out ?? null,
    help: values.help,
    partial: named.length > 0,
    wants: (kind, name) => {
      const ofKind = named.filter((candidate) => known[kind].has(candidate));
      return ofKind.length === 0 || ofKind.includes(name);
    },
  };
}

const usage = (message: string): TomboloError => new TomboloError(message, { code: "BENCH_USAGE", kind: "usage", hint: USAGE });
