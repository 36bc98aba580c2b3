import { useEffect, useRef, useState } from "preact/hooks";
import type { Conflict, NotAsked } from "../../api/desk-types.ts";
import { type ConflictFilter, type ConflictPage, fetchConflicts } from "./conflict-filter.ts";

/** Asked for at once: what a page shows, and some more. */
const FIRST = 200;
/** The most that the hub gives at once. */
const MOST = 1_000;

export interface ConflictList {
  readonly conflicts: readonly Conflict[];
  readonly notAsked: NotAsked;
  readonly hasMore: boolean;
  readonly error: unknown;
  readonly isLoading: boolean;
  /** The list anew, from its beginning. */
  reload(): Promise<void>;
  /** The next of them. */
  more(): Promise<void>;
  /** All that match: for who decides many at once. Answers them. */
  all(): Promise<readonly Conflict[]>;
}

interface State {
  readonly of: string;
  readonly conflicts: readonly Conflict[];
  readonly next: readonly string[] | null;
  readonly notAsked: NotAsked;
  readonly error: unknown;
  readonly isLoading: boolean;
}

const NOTHING: Omit<State, "of"> = { conflicts: [], next: null, notAsked: [], error: null, isLoading: true };

/** The conflicts that a filter lets through, newest first, as far as they have been asked for. */
export function useConflictList(filter: ConflictFilter): ConflictList {
  const of = JSON.stringify(filter);
  const [state, setState] = useState<State>({ of, ...NOTHING });
  const now = useRef(state);
  const running = useRef<AbortController | null>(null);
  const put = (next: State): void => {
    now.current = next;
    setState(next);
  };

  /** One page; null where another request has taken its place. */
  async function ask(limit: number, before: readonly string[] | null): Promise<ConflictPage | null> {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    try {
      const page = await fetchConflicts(filter, { limit, before, signal: controller.signal });
      return controller.signal.aborted ? null : page;
    } catch (error) {
      if (controller.signal.aborted) return null;
      put({ ...now.current, error, isLoading: false });
      return null;
    }
  }

  async function reload(): Promise<void> {
    put(now.current.of === of ? { ...now.current, isLoading: true } : { of, ...NOTHING });
    const page = await ask(FIRST, null);
    if (page !== null) put({ of, conflicts: page.conflicts, next: page.next, notAsked: page.not_asked, error: null, isLoading: false });
  }

  async function more(limit = FIRST): Promise<boolean> {
    const { next } = now.current;
    if (next === null) return false;
    const page = await ask(limit, next);
    if (page === null) return false;
    const { conflicts } = now.current;
    put({ ...now.current, conflicts: [...conflicts, ...page.conflicts], next: page.next, notAsked: page.not_asked, error: null });
    return true;
  }

  async function all(): Promise<readonly Conflict[]> {
    while (await more(MOST));
    return now.current.conflicts;
  }

  useEffect(() => void reload(), [of]);
  useEffect(() => () => running.current?.abort(), []);
  const shown = state.of === of ? state : { of, ...NOTHING };
  return {
    conflicts: shown.conflicts,
    notAsked: shown.notAsked,
    hasMore: shown.next !== null,
    error: shown.error,
    isLoading: shown.isLoading,
    reload,
    more: async () => void (await more()),
    all,
  };
}
