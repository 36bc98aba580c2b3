import type { RoutePlugin } from "./context.ts";
import { auditRoutes } from "./routes/audit.ts";
import { changesRoutes } from "./routes/changes.ts";
import { conflictDeskRoutes } from "./routes/conflict-desk.ts";
import { conflictRoutes } from "./routes/conflicts.ts";
import { edgeAnewRoutes } from "./routes/edge-anew.ts";
import { edgeCompareRoutes } from "./routes/edge-compare.ts";
import { edgeConflictRoutes } from "./routes/edge-conflicts.ts";
import { edgeCopyRoutes } from "./routes/edge-copies.ts";
import { edgeDataRoutes } from "./routes/edge-data.ts";
import { edgePushRoutes } from "./routes/edge-pushes.ts";
import { enrolmentRoutes } from "./routes/enrolment.ts";
import { eventRoutes } from "./routes/events.ts";
import { fullSyncRunRoutes } from "./routes/full-sync-runs.ts";
import { linkSyncRoutes } from "./routes/link-sync.ts";
import { nodeRoutes } from "./routes/nodes.ts";
import { notificationRoutes } from "./routes/notifications.ts";
import { parkedRoutes } from "./routes/parked.ts";
import { reconcileRecordRoutes } from "./routes/reconcile-records.ts";
import { runRoutes } from "./routes/runs.ts";
import { serviceRoutes } from "./routes/service.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { topologyRoutes } from "./routes/topology.ts";
import { upkeepRoutes } from "./routes/upkeep.ts";
import { whoamiRoutes } from "./routes/whoami.ts";

/** Every route of the service. Whoever adds some adds a line, and `npm run docs` writes docs/openapi.json anew. */
export const HUB_ROUTES: readonly RoutePlugin[] = [
  serviceRoutes,
  enrolmentRoutes,
  edgeDataRoutes,
  edgeConflictRoutes,
  edgeCompareRoutes,
  edgeCopyRoutes,
  edgePushRoutes,
  edgeAnewRoutes,
  nodeRoutes,
  topologyRoutes,
  linkSyncRoutes,
  changesRoutes,
  eventRoutes,
  conflictRoutes,
  conflictDeskRoutes,
  parkedRoutes,
  whoamiRoutes,
  tokenRoutes,
  auditRoutes,
  reconcileRecordRoutes,
  runRoutes,
  fullSyncRunRoutes,
  notificationRoutes,
  upkeepRoutes,
];
