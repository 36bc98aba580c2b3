import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api/client.ts";
import { connection } from "./api/live.ts";

export interface Loaded<T> {
  /** The last answer; kept while the next is fetched, and where that fails. */
  readonly data: T | null;
  readonly error: unknown;
  readonly isLoading: boolean;
  /** Asks again; answers when that is done. */
  reload(): Promise<void>;
}

/**
 * Fetches what a page shows: when it is opened, whenever one of `of` changes (answers of before are then not shown), and after `reload()`.
 * Pass `revision.value` in `again` to ask again whenever the hub tells of something: what is shown stays until the answer comes, and a slow
 * answer is waited for. Where the hub does not answer, which the page says as a whole, it asks again by itself once it is back.
 */
export function useLoad<T>(fetch: (signal: AbortSignal) => Promise<T>, of: readonly unknown[], again: readonly unknown[] = []): Loaded<T> {
  const [state, setState] = useState<{ of: string; data: T | null; error: unknown; isLoading: boolean }>({
    of: "",
    data: null,
    error: null,
    isLoading: true,
  });
  const key = JSON.stringify(of);
  const latest = useRef(fetch);
  latest.current = fetch;
  const running = useRef<AbortController | null>(null);
  const isAway = useRef(false);
  const isStale = useRef(false);
  const reload = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    isStale.current = false;
    setState((before) => ({ ...before, of: key, data: before.of === key ? before.data : null, isLoading: true }));
    try {
      const data = await latest.current(controller.signal);
      if (controller.signal.aborted) return;
      setState({ of: key, data, error: null, isLoading: false });
    } catch (error) {
      if (controller.signal.aborted) return;
      isAway.current = error instanceof ApiError && error.code === "HUB_UNREACHABLE";
      setState((before) => ({ ...before, error: isAway.current ? null : error, isLoading: false }));
    }
    running.current = null;
    if (isStale.current) void reload();
  }, [key]);
  useEffect(() => void reload(), [reload]);
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    // who asked often enough would never hear an answer
    else if (running.current !== null) isStale.current = true;
    else void reload();
  }, again);
  const isLive = connection.value === "live";
  useEffect(() => {
    if (!isLive || !isAway.current) return;
    isAway.current = false;
    void reload();
  }, [isLive, reload]);
  useEffect(() => () => running.current?.abort(), []);
  return { data: state.of === key ? state.data : null, error: state.error, isLoading: state.isLoading || state.of !== key, reload };
}
