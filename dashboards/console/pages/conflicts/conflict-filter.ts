import { get } from "../../api/client.ts";
import type { Conflict, NotAsked } from "../../api/desk-types.ts";

/** As the address says it; empty members are left out. */
export interface ConflictFilter {
  readonly status: "open" | "all";
  readonly node: string | null;
  readonly table: string | null;
  readonly kind: string | null;
  /** Days, UTC, as `2026-01-31`; both are included. */
  readonly from: string | null;
  readonly to: string | null;
}

export const FILTER_NAMES = ["status", "node", "table", "kind", "from", "to"] as const;

export const filterOf = (query: URLSearchParams): ConflictFilter => ({
  status: query.get("status") === "all" ? "all" : "open",
  node: query.get("node"),
  table: query.get("table"),
  kind: query.get("kind"),
  from: query.get("from"),
  to: query.get("to"),
});

/** What of an address is the filter: links to a conflict and back take it along. */
export const filterQuery = (query: URLSearchParams): Record<string, string | null> =>
  Object.fromEntries(FILTER_NAMES.map((name) => [name, query.get(name)]));

export interface ConflictPage {
  readonly conflicts: readonly Conflict[];
  readonly next: readonly string[] | null;
  readonly not_asked: NotAsked;
}

const DAY_MS = 86_400_000;
const isDay = (text: string | null): text is string => text !== null && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));

export function fetchConflicts(
  filter: ConflictFilter,
  page: { readonly limit: number; readonly before: readonly string[] | null; readonly signal?: AbortSignal },
): Promise<ConflictPage> {
  const { status, node, table, kind, from, to } = filter;
  return get<ConflictPage>("/v1/conflicts", {
    query: {
      ...{ node, table, kind, limit: page.limit },
      open: status === "open" ? true : null,
      since: isDay(from) ? `${from}T00:00:00Z` : null,
      until: isDay(to) ? new Date(Date.parse(to) + DAY_MS).toISOString() : null,
      before: page.before?.join(",") ?? null,
    },
    ...(page.signal === undefined ? {} : { signal: page.signal }),
  });
}

/** The name of a conflict, unique in the topology. */
export const conflictName = ({ node, id }: Pick<Conflict, "node" | "id">): string => `${node}/${id}`;

export const conflictPath = ({ node, id }: Pick<Conflict, "node" | "id">): string =>
  `/conflicts/${encodeURIComponent(node)}/${encodeURIComponent(id)}`;
