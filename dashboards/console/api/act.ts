import { toast } from "../components/toast.tsx";
import { plural } from "../format.ts";
import { get, post } from "./client.ts";
import { refresh } from "./live.ts";
import type { CapturedTable, LinkSync } from "./types.ts";

/** What several pages do to a node or a link. Each throws `ApiError`. */

const nodePath = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}`;

export async function setPaused(node: string, paused: boolean): Promise<void> {
  await post(`${nodePath(node)}/${paused ? "pause" : "resume"}`);
  await refresh();
  toast(paused ? `${node} is paused; changes are kept until it is resumed` : `${node} goes on`);
}

/** Waits until what is pending has arrived. */
export async function syncNow(parent: string, child: string): Promise<LinkSync> {
  const result = await post<LinkSync>(`/v1/links/${encodeURIComponent(parent)}/${encodeURIComponent(child)}/sync`);
  await refresh();
  return result;
}

/** `15 sent, 8 received, 1 conflict resolved`. */
export function syncText({ sent, received, conflicts, conflicts_open: open, parked, pending_changes: pending }: LinkSync): string {
  const parts = [`${sent} sent`, `${received} received`, `${plural(conflicts - open, "conflict")} resolved`];
  if (open > 0) parts.push(`${open} left open`);
  if (parked > 0) parts.push(`${parked} parked`);
  if (pending > 0) parts.push(`${plural(pending, "change")} still on the way`);
  return parts.join(", ");
}

export const tablesOf = async (node: string, signal?: AbortSignal): Promise<readonly CapturedTable[]> =>
  (await get<{ tables: CapturedTable[] }>(`${nodePath(node)}/tables`, signal === undefined ? {} : { signal })).tables;
