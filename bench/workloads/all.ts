import { backlog } from "./backlog.ts";
import { inserts, updates } from "./bulk.ts";
import { idle } from "./idle.ts";
import { lag200, lag500 } from "./lag.ts";
import { singles } from "./singles.ts";
import type { Workload } from "./workload.ts";

/** In the order in which a session goes through them. */
export const WORKLOADS: readonly Workload[] = [inserts, updates, singles, lag200, lag500, idle, backlog];
