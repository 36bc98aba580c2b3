import { z } from "zod";
import type { HubClient } from "./hub-client.ts";

const row = z.record(z.string(), z.unknown()).nullable();

const conflictSchema = z
  .looseObject({
    id: z.string(),
    detected_at: z.string(),
    table: z.string(),
    key: z.record(z.string(), z.unknown()),
    kind: z.string(),
    policy: z.string(),
    resolution: z.string(),
    reason: z.string(),
    parent_row: row,
    child_row: row,
    base_row: row,
    result_row: row,
    status: z.enum(["open", "resolved"]),
  })
  .transform((told) => ({
    id: told.id,
    detectedAt: told.detected_at,
    table: told.table,
    key: told.key,
    kind: told.kind,
    policy: told.policy,
    resolution: told.resolution,
    reason: told.reason,
    parentRow: told.parent_row,
    childRow: told.child_row,
    baseRow: told.base_row,
    resultRow: told.result_row,
    status: told.status,
  }));

/** A conflict about a change of this edge, as the hub recorded it. Values are as the hub's database writes them. */
export type EdgeConflict = z.output<typeof conflictSchema>;

/** Whose version the contested columns become, or what they become. */
export type EdgeDecision = { readonly take: "parent" | "child" | "base" } | { readonly set: { readonly [column: string]: string | null } };

const path = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}/conflicts`;

/** Newest first. */
export async function edgeConflicts(
  client: HubClient,
  node: string,
  { open = false, limit = 50, before }: { readonly open?: boolean; readonly limit?: number; readonly before?: string } = {},
): Promise<EdgeConflict[]> {
  const query = new URLSearchParams({ open: String(open), limit: String(limit), ...(before !== undefined && { before }) });
  const answer = await client.json(z.looseObject({ conflicts: z.array(conflictSchema) }), {
    method: "GET",
    path: `${path(node)}?${query}`,
  });
  return answer.conflicts;
}

export async function decideConflict(client: HubClient, node: string, id: string, decision: EdgeDecision): Promise<EdgeConflict> {
  const answer = await client.json(z.looseObject({ conflict: conflictSchema }), {
    method: "POST",
    path: `${path(node)}/${encodeURIComponent(id)}/resolve`,
    type: "application/json",
    body: JSON.stringify(decision),
  });
  return answer.conflict;
}
