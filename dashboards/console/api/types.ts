import type { z } from "zod";
import type { fullSyncRunSchema } from "../../../replicator/hub/schemas/full-sync-runs.ts";
import type { linkSyncSchema } from "../../../replicator/hub/schemas/link-sync.ts";
import type { edgeStatusSchema, linkStatusSchema, nodeStatusSchema, statusSchema } from "../../../replicator/hub/schemas/status.ts";
import type { capturedTableSchema, topologySchema } from "../../../replicator/hub/schemas/topology.ts";

/** The answers as the service's own schemas have them: types only, nothing of the service gets into the page. */
export type Status = z.output<typeof statusSchema>;
export type NodeStatus = z.output<typeof nodeStatusSchema>;
export type LinkStatus = z.output<typeof linkStatusSchema>;
export type EdgeStatus = z.output<typeof edgeStatusSchema>;
export type Topology = z.output<typeof topologySchema>;
export type CapturedTable = z.output<typeof capturedTableSchema>;
export type LinkSync = z.output<typeof linkSyncSchema>;
export type FullSyncRun = z.output<typeof fullSyncRunSchema>;
