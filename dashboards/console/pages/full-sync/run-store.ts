import { computed, signal } from "@preact/signals";
import { ApiError, type Problem } from "../../api/client.ts";
import { eventStream } from "../../api/event-stream.ts";
import { refresh } from "../../api/live.ts";

export type Direction = "pull" | "push";

export interface FullSyncOrder {
  /** PARENT/CHILD. */
  readonly link: string;
  readonly direction: Direction;
  /** Null: all that travel in this direction. */
  readonly tables: readonly string[] | null;
  readonly verify: boolean;
  /** A SQLite target is copied first. */
  readonly backup: boolean;
  /** Go on although rows of the target become others or go. */
  readonly replaceRows: boolean;
  /** Go on with what was interrupted. */
  readonly resume: boolean;
  /** Let the two forget what they know of each other first. */
  readonly beginAnew: boolean;
  /** An edge does it when it next comes, and takes fewer options. */
  readonly isEdge?: boolean;
}

export type Phase = "prepare" | "copy" | "apply" | "hand_over" | "verify";

export interface Progress {
  readonly phase: Phase;
  readonly rows: number;
  readonly bytes: number;
  readonly estimated_rows: number;
  readonly rate: number | null;
  readonly seconds_left: number | null;
  /** Of an edge: `requested` until it has come. */
  readonly state?: string;
}

export interface Difference {
  readonly table: string;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

export interface Result {
  readonly state: string | null;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds?: number;
  readonly added?: number;
  readonly changed?: number;
  readonly removed?: number;
  readonly parked?: number;
  readonly backup?: string | null;
  readonly differences?: number | null;
  readonly error?: string | null;
}

export interface Logged {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
}

/** A full sync that this page has started: it lives as long as the page does, whichever part of the console is shown. */
export interface Run {
  readonly order: FullSyncOrder;
  readonly startedAt: number;
  readonly progress: Progress | null;
  readonly differences: readonly Difference[] | null;
  readonly log: readonly Logged[];
  readonly end:
    | { readonly kind: "done"; readonly result: Result }
    | { readonly kind: "failed"; readonly problem: Problem }
    | { readonly kind: "cancelled" }
    | null;
}

/** The newest; null before the first. */
export const run = signal<Run | null>(null);
export const isRunning = computed(() => run.value !== null && run.value.end === null);

let cancelling: AbortController | null = null;

/** Begins, unless one is under way. */
export function startFullSync(order: FullSyncOrder): void {
  if (isRunning.peek()) return;
  cancelling = new AbortController();
  run.value = { order, startedAt: Date.now(), progress: null, differences: null, log: [{ at: Date.now(), text: "Asked for." }], end: null };
  window.addEventListener("beforeunload", warn);
  void follow(order, cancelling.signal).finally(() => {
    window.removeEventListener("beforeunload", warn);
    void refresh().catch(() => undefined);
  });
}

/** The hub cancels what nobody listens to any more; the tables stay as they were. */
export function cancelRun(): void {
  cancelling?.abort();
}

/** Whoever leaves the page cancels the run. */
const warn = (event: BeforeUnloadEvent): void => event.preventDefault();

async function follow(order: FullSyncOrder, signal: AbortSignal): Promise<void> {
  try {
    for await (const { event, data } of eventStream("POST", "/v1/full-sync", { body: bodyOf(order), signal })) take(event, data);
    if (run.peek()?.end === null) end({ kind: "failed", problem: lineBroke });
  } catch (error) {
    if (signal.aborted) end({ kind: "cancelled" });
    else if (error instanceof ApiError) end({ kind: "failed", problem: error.problem });
    // a stream that breaks throws what the browser makes of it
    else end({ kind: "failed", problem: lineBroke });
  }
}

const lineBroke: Problem = {
  status: 0,
  code: "HUB_UNREACHABLE",
  detail: "The line to the hub broke, and with it the full sync.",
  hint: "The tables are as they were. Resume it: what was copied is still there.",
};

function bodyOf(order: FullSyncOrder): object {
  const { link, direction, tables, verify, backup, replaceRows, resume, beginAnew, isEdge = false } = order;
  const chosen = { link, direction, verify, replace_rows: replaceRows, ...(tables === null ? {} : { tables }) };
  return isEdge ? chosen : { ...chosen, backup, resume, begin_anew: beginAnew };
}

function take(event: string, data: unknown): void {
  const now = run.peek();
  if (now === null) return;
  if (event === "progress") {
    const progress = data as Progress;
    const log = progress.phase === now.progress?.phase ? now.log : logged(now, PHASE_LOG[progress.phase]);
    run.value = { ...now, progress, log };
  } else if (event === "note") run.value = { ...now, log: logged(now, (data as { text: string }).text) };
  else if (event === "differences") {
    const differences = (data as { tables: Difference[] }).tables;
    run.value = { ...now, differences, log: logged(now, differencesText(differences)) };
  } else if (event === "done") end({ kind: "done", result: data as Result });
  else if (event === "problem") end({ kind: "failed", problem: data as Problem });
}

function end(how: NonNullable<Run["end"]>): void {
  const now = run.peek();
  if (now === null) return;
  const text =
    how.kind === "done"
      ? `Ended: ${how.result.state ?? "done"}.`
      : how.kind === "cancelled"
        ? "Cancelled."
        : `Failed: ${how.problem.detail}`;
  run.value = { ...now, progress: how.kind === "done" ? atTheEnd(now, how.result) : now.progress, end: how, log: logged(now, text) };
}

/** A short one ends before its progress was told. */
const atTheEnd = ({ progress, differences }: Run, { rows, bytes }: Result): Progress => ({
  ...(progress ?? { phase: "prepare", estimated_rows: 0, rate: null, seconds_left: null }),
  ...(differences === null ? {} : { phase: "apply" }),
  rows,
  bytes,
});

const logged = (now: Run, text: string): readonly Logged[] => [...now.log, { at: Date.now(), text }];

const PHASE_LOG: Readonly<Record<Phase, string>> = {
  prepare: "Preparing.",
  copy: "Copying the rows.",
  apply: "Comparing what was copied with what is there.",
  hand_over: "Handing over, in one transaction.",
  verify: "Comparing both sides.",
};

function differencesText(differences: readonly Difference[]): string {
  const sum = (of: "added" | "changed" | "removed") => differences.reduce((total, each) => total + each[of], 0);
  return `To be added: ${sum("added")}, changed: ${sum("changed")}, removed: ${sum("removed")}.`;
}
