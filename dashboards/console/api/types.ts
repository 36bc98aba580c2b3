import type { z } from "zod";
import type { fullSyncRunSchema } from "../../../replicator/hub/schemas/full-sync-runs.ts";
import type { edgeStatusSchema, linkStatusSchema, nodeStatusSchema, statusSchema } from "../../../replicator/hub/schemas/status.ts";

/** The answers as the service's own schemas have them: types only, nothing of the service gets into the page. */
export type Status = z.output<typeof statusSchema>;
export type NodeStatus = z.output<typeof nodeStatusSchema>;
export type LinkStatus = z.output<typeof linkStatusSchema>;
export type EdgeStatus = z.output<typeof edgeStatusSchema>;
export type FullSyncRun = z.output<typeof fullSyncRunSchema>;
