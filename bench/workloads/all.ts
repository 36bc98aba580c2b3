import { backlog } from "./backlog.ts";
import { beside } from "./beside.ts";
import { deletes, inserts, updates } from "./bulk.ts";
import { exchange } from "./exchange.ts";
import { idle } from "./idle.ts";
import { lag200, lag500 } from "./lag.ts";
import { largeValues } from "./large-values.ts";
import { mixed } from "./mixed.ts";
import { singles } from "./singles.ts";
import { steady } from "./steady.ts";
import { twoWay } from "./two-way.ts";
import { wide } from "./wide.ts";
import type { Workload } from "./workload.ts";

/** In the order in which a session goes through them. Two-way is last: a system may have to be changed for it. */
export const WORKLOADS: readonly Workload[] = [
  inserts,
  updates,
  deletes,
  mixed,
  wide,
  largeValues,
  singles,
  lag200,
  lag500,
  exchange,
  idle,
  steady,
  beside,
  backlog,
  twoWay,
];
