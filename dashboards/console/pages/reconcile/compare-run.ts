import { eventStream } from "../../api/event-stream.ts";

/** What the hub is asked to compare. */
export interface CompareRequest {
  /** PARENT/CHILD; null for all links of which both ends are reached. */
  readonly links: readonly string[] | null;
  readonly tables: readonly string[] | null;
  readonly repair: "report" | "parent" | "newest";
  readonly scope: "all" | "changed";
  /** Rows of a child that a repair may delete; null leaves it to the guard. */
  readonly maxDeletes: number | null;
}

export interface ComparedTable {
  readonly table: string;
  readonly compared: number;
  readonly differing: number;
  readonly repaired: number;
  readonly under_way: number;
  readonly parked: number;
  readonly only_at_child?: number;
  readonly examples: readonly { readonly key: readonly (string | null)[]; readonly kind?: string }[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | string | null;
}

export interface ComparedLink {
  readonly parent: string;
  readonly child: string;
  readonly outcome: string;
  readonly tables: readonly ComparedTable[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | string | null;
}

export interface CompareProgress {
  readonly link: string;
  readonly table: string;
  readonly rows: number;
}

/** A comparison that the hub tells of; aborting the signal cancels it there. Throws `ApiError`; a run that fails throws the hub's problem. */
export async function compare(
  { links, tables, repair, scope, maxDeletes }: CompareRequest,
  told: {
    readonly signal: AbortSignal;
    readonly onProgress: (progress: CompareProgress) => void;
    readonly onLink: (link: ComparedLink) => void;
  },
): Promise<void> {
  const body = {
    ...{ repair, scope },
    ...(links === null ? {} : { links }),
    ...(tables === null ? {} : { tables }),
    ...(maxDeletes === null ? {} : { max_deletes: maxDeletes }),
  };
  for await (const { event, data } of eventStream("POST", "/v1/reconcile", { body, signal: told.signal })) {
    if (event === "progress") told.onProgress(data as CompareProgress);
    if (event === "link") told.onLink(data as ComparedLink);
    if (event === "done") return;
    if (event === "problem") throw new RunProblem(data as { code: string; detail: string; hint: string | null });
  }
  throw new RunProblem({ code: "RUN_INTERRUPTED", detail: "The hub ended the comparison before it was done.", hint: "Start it again." });
}

/** Why a run did not come to its end. */
export class RunProblem extends Error {
  readonly code: string;
  readonly hint: string | null;

  constructor({ code, detail, hint }: { readonly code: string; readonly detail: string; readonly hint: string | null }) {
    super(`${detail} (${code})`);
    this.code = code;
    this.hint = hint;
  }
}

/** The rows that the guard keeps from being deleted, over all tables of a link; 0 where it has nothing against the repair. */
export const guardedDeletes = ({ tables }: ComparedLink): number =>
  tables
    .filter(({ error }) => typeof error === "object" && error?.code === "RECONCILE_DELETES")
    .reduce((most, { only_at_child: only = 0 }) => Math.max(most, only), 0);
