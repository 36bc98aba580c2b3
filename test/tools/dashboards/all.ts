import { conflicts } from "./conflicts.ts";
import type { Dashboard } from "./dashboard.ts";
import { hub } from "./hub.ts";
import { node } from "./node.ts";
import { overview } from "./overview.ts";
import { runs } from "./runs.ts";

/** What dashboards/grafana/*.json are made from, by `npm run docs`. */
export const DASHBOARDS: readonly Dashboard[] = [overview, node, conflicts, runs, hub];
