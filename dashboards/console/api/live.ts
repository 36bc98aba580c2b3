import { effect, signal } from "@preact/signals";
import { ApiError, get } from "./client.ts";
import { eventStream } from "./event-stream.ts";
import { record } from "./samples.ts";
import { token } from "./session.ts";
import type { Status } from "./types.ts";

/** The newest status; the last one known while the hub does not answer. */
export const status = signal<Status | null>(null);
/** Whether `status` is of now. */
export const connection = signal<"connecting" | "live" | "lost">("connecting");
/** Counts events of the hub: whatever a page shows besides may have changed with each. */
export const revision = signal(0);

const SAMPLE_EVERY_MS = 5_000;
/** A status of databases that are away takes as long as it takes to find that out. */
const PATIENCE_MS = 60_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000];

const isVisible = signal(document.visibilityState === "visible");

/** Follows the hub as long as somebody is signed in and looks: through restarts, too. */
export function followLive(): void {
  document.addEventListener("visibilitychange", () => {
    isVisible.value = document.visibilityState === "visible";
  });
  effect(() => {
    if (token.value === null) return;
    // what one token may see is not another's
    return () => {
      status.value = null;
    };
  });
  effect(() => {
    // a browser has six connections for one host: a seventh tab would wait for ever for one that nobody looks at
    if (token.value === null || !isVisible.value) return;
    const leave = new AbortController();
    void follow(leave.signal);
    return () => {
      leave.abort();
      connection.value = "connecting";
    };
  });
}

async function follow(signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    // one sampler for each connection: it ends with it, so that nobody asks a hub that is not there
    const connected = new AbortController();
    const both = AbortSignal.any([signal, connected.signal]);
    try {
      for await (const { event } of eventStream("GET", "/v1/events", { signal: both })) {
        if (event !== "status") continue;
        if (failures !== 0 || connection.peek() !== "live") void sampleUntil(both, () => connected.abort());
        failures = 0;
        await refresh(both);
        revision.value += 1;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status === 401)) return;
    } finally {
      connected.abort();
    }
    connection.value = "lost";
    await pause((BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] as number) * (0.75 + Math.random() / 2), signal);
    failures += 1;
  }
}

/**
 * Numbers that are no event's business, lag and packets: asked for while somebody looks, and seldom where the answer takes long. A line that is dead without
 * a word, as after a sleep, is found out by this: the stream of events would wait on it for ever.
 */
async function sampleUntil(signal: AbortSignal, isDead: () => void): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    try {
      if (document.visibilityState === "visible") await refresh(signal);
    } catch (error) {
      // what the hub refuses, such as too many requests, it answers
      if (!(error instanceof ApiError) || error.status === 0) isDead();
    }
    await pause(Math.max(SAMPLE_EVERY_MS, 5 * (performance.now() - began)), signal);
  }
}

let underWay: Promise<void> | null = null;
let next: Promise<void> | null = null;

/** Asks for the status: as it is after the call, and not by several requests at once. */
export function refresh(signal?: AbortSignal): Promise<void> {
  if (underWay === null) {
    underWay = look(signal).finally(() => {
      underWay = null;
    });
    return underWay;
  }
  // what is under way may have been answered already; those who ask meanwhile share the one that follows
  next ??= underWay
    .catch(() => undefined)
    .then(() => {
      next = null;
      return refresh(signal);
    });
  return next;
}

async function look(signal?: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  const found = await get<Status>("/v1/status", { signal: signal === undefined ? late : AbortSignal.any([signal, late]) });
  if (token.peek() === null) return;
  status.value = found;
  connection.value = "live";
  record(found);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
