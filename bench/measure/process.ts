import { readFileSync, writeFileSync } from "node:fs";

/** Ticks of /proc/PID/stat; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 100;

export interface Usage {
  /** Largest resident memory in bytes while it was watched; null where there is no /proc. */
  readonly peakBytes: number | null;
  /** User and system time in seconds of the process meanwhile. */
  readonly cpuSeconds: number | null;
}

/** User and system time in seconds since the process began; null when it is gone or where there is no /proc. */
export function cpuSeconds(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // the name in parentheses may hold spaces
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Bytes that the process has had written to disk since it began; null when it is gone or where there is no /proc. */
export function bytesWritten(pid: number): number | null {
  const bytes = read(`/proc/${pid}/io`)?.match(/^write_bytes: (\d+)/m)?.[1];
  return bytes === undefined ? null : Number(bytes);
}

/** Sum over processes that come and go: one that is new at the end counts whole, one that is gone counts not. */
export function cpuSecondsBetween(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [pid, seconds] of after) sum += seconds - (before.get(pid) ?? 0);
  return sum;
}

export function cpuOf(pids: readonly number[]): ReadonlyMap<number, number> {
  return new Map(
    pids.flatMap((pid) => {
      const seconds = cpuSeconds(pid);
      return seconds === null ? [] : [[pid, seconds] as const];
    }),
  );
}

/**
 * Watches the process that `pid` names now, also when it is another one later (a restart). Its own high-water mark is set back at the
 * start; samples serve where that is not allowed.
 */
export function watchProcess(pid: () => number | null): { stop(): Usage } {
  let current = pid();
  let reset = current !== null && resetPeak(current);
  let cpuBefore = current === null ? 0 : (cpuSeconds(current) ?? 0);
  let cpuNow = cpuBefore;
  let cpuOfEarlier = 0;
  let peak = 0;
  const sample = () => {
    const next = pid();
    if (next !== current) {
      cpuOfEarlier += cpuNow - cpuBefore;
      current = next;
      reset = true;
      cpuBefore = 0;
      cpuNow = 0;
    }
    if (current === null) return;
    cpuNow = cpuSeconds(current) ?? cpuNow;
    peak = Math.max(peak, status(current, "VmRSS") ?? 0, reset ? (status(current, "VmHWM") ?? 0) : 0);
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return peak === 0 ? { peakBytes: null, cpuSeconds: null } : { peakBytes: peak, cpuSeconds: cpuOfEarlier + cpuNow - cpuBefore };
    },
  };
}

/** `5` sets VmHWM back to the present size (proc(5), clear_refs). */
function resetPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  } catch {
    return false;
  }
}

function status(pid: number, field: "VmRSS" | "VmHWM"): number | null {
  const kilobytes = read(`/proc/${pid}/status`)?.match(new RegExp(`^${field}:\\s+(\\d+) kB`, "m"))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
