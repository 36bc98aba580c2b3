import { z } from "zod";
import { EXCHANGE_FEATURES, resyncWish } from "../link/exchange.ts";
import { type Manifest, manifestSchema } from "../link/manifest.ts";
import { reportSchema } from "../link/report.ts";
import type { HubClient } from "./hub-client.ts";

const status = z.looseObject({
  pending_changes: z.number(),
  parked_changes: z.number(),
  open_conflicts: z.number(),
  topology: z.string(),
  // an older hub tells none
  resync: resyncWish,
  report: reportSchema,
});

/** Where the hub is with an edge, and whether the two are to begin anew. */
export const hubStatus = (client: HubClient, node: string, signal?: AbortSignal): Promise<z.output<typeof status>> =>
  client.json(status, {
    method: "GET",
    path: `/v1/nodes/${encodeURIComponent(node)}/status?features=${EXCHANGE_FEATURES.join(",")}`,
    ...(signal && { signal }),
  });

/** What an edge has to know of the topology. */
export async function hubManifest(
  client: HubClient,
  node: string,
  signal?: AbortSignal,
): Promise<{ readonly id: string; readonly madeAt: string; readonly features: readonly string[]; readonly manifest: Manifest }> {
  const answer = z.object({
    id: z.string(),
    made_at: z.iso.datetime(),
    // an older hub lists none
    features: z.array(z.string()).default([]),
    topology: manifestSchema,
  });
  const {
    id,
    made_at: madeAt,
    features,
    topology,
  } = await client.json(answer, {
    method: "GET",
    path: `/v1/nodes/${encodeURIComponent(node)}/topology`,
    ...(signal && { signal }),
  });
  return { id, madeAt, features, manifest: topology };
}

const enrolled = z.looseObject({ node: z.string(), token: z.string(), expires_at: z.string().nullable() });
const renewed = z.looseObject({ token: z.string(), expires_at: z.string().nullable() });

/** A new token in the place of the one that the client has; the old one works for a while. */
export const renew = (client: HubClient, node: string): Promise<z.output<typeof renewed>> =>
  client.json(renewed, { method: "POST", path: `/v1/nodes/${encodeURIComponent(node)}/token/rotate` });

/** Exchanges a one-time code for the edge's name and token. */
export const enrol = (client: HubClient, code: string): Promise<z.output<typeof enrolled>> =>
  client.json(enrolled, { method: "POST", path: "/v1/enrol", type: "application/json", body: JSON.stringify({ code }) });
