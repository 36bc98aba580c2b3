import { useCallback, useEffect, useRef, useState } from "preact/hooks";

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
 * Pass `revision.value` in `again` to ask again whenever the hub tells of something; what is shown stays until the answer comes.
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
  const reload = useCallback(async () => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => ({ ...before, of: key, data: before.of === key ? before.data : null, isLoading: true }));
    try {
      const data = await latest.current(controller.signal);
      if (!controller.signal.aborted) setState({ of: key, data, error: null, isLoading: false });
    } catch (error) {
      if (!controller.signal.aborted) setState((before) => ({ ...before, error, isLoading: false }));
    }
  }, [key]);
  useEffect(() => void reload(), [reload, ...again]);
  useEffect(() => () => running.current?.abort(), []);
  return { data: state.of === key ? state.data : null, error: state.error, isLoading: state.isLoading || state.of !== key, reload };
}
