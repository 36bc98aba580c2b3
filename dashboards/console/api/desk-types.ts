import type { z } from "zod";
import type { auditSchema } from "../../../replicator/hub/schemas/audit.ts";
import type {
  conflictSchema,
  notAsked,
  parkedDetailsSchema,
  parkedSchema,
  previewSchema,
  shownConflictSchema,
} from "../../../replicator/hub/schemas/desks.ts";
import type { notificationTargetSchema, notificationTestSchema } from "../../../replicator/hub/schemas/notifications.ts";
import type { comparedRowsSchema, reconcileRunSchema, scheduleSchema } from "../../../replicator/hub/schemas/reconcile.ts";
import type { listedNodeSchema } from "../../../replicator/hub/schemas/status.ts";
import type { issuedSchema, tokenSchema } from "../../../replicator/hub/schemas/tokens.ts";
import type { planSchema, topologySchema } from "../../../replicator/hub/schemas/topology.ts";

/** The answers that the desks show, as the service's own schemas have them. */
export type Conflict = z.output<typeof conflictSchema>;
export type ShownConflict = z.output<typeof shownConflictSchema>;
export type Preview = z.output<typeof previewSchema>;
export type Parked = z.output<typeof parkedSchema>;
export type ParkedDetails = z.output<typeof parkedDetailsSchema>;
export type NotAsked = z.output<typeof notAsked>;
export type ReconcileRun = z.output<typeof reconcileRunSchema>;
export type Schedule = z.output<typeof scheduleSchema>;
export type ComparedRows = z.output<typeof comparedRowsSchema>;
export type Topology = z.output<typeof topologySchema>;
export type Plan = z.output<typeof planSchema>;
export type ListedNode = z.output<typeof listedNodeSchema>;
export type Token = z.output<typeof tokenSchema>;
export type Issued = z.output<typeof issuedSchema>;
export type NotificationTarget = z.output<typeof notificationTargetSchema>;
export type NotificationTest = z.output<typeof notificationTestSchema>;
export type AuditEntry = z.output<typeof auditSchema>;
export type Taken = "parent" | "child" | "base";

/** A row as answers carry it. */
export type Row = Readonly<Record<string, unknown>>;
