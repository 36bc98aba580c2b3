import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../helpers/command.ts";

const SHIFT = "TOMBOLO_TEST_CLOCK_SHIFT";
let library: string | null | undefined;

/** What a process is started with to live so many seconds off. Nothing where this machine cannot do it: Linux with a C compiler can. */
export function wrongClock(seconds: number): Environment {
  // said in any case: what is started while a server gets its clock must not take that
  const preload = seconds === 0 ? null : shim();
  return preload === null ? { LD_PRELOAD: "", [SHIFT]: "0" } : { LD_PRELOAD: preload, [SHIFT]: String(seconds) };
}

export const canShiftClocks = (): boolean => shim() !== null;

let starting: Promise<unknown> = Promise.resolve();

/** For what starts a process and gives it the environment of this one. */
export function withWrongClock<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  const working = starting.then(async () => {
    const before = Object.fromEntries(["LD_PRELOAD", SHIFT].map((name) => [name, process.env[name]]));
    Object.assign(process.env, wrongClock(seconds));
    try {
      return await work();
    } finally {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
  starting = working.catch(() => undefined);
  return working;
}

function shim(): string | null {
  if (library !== undefined) return library;
  library = null;
  if (process.platform !== "linux") return null;
  // a server that runs as another user has to read it
  const folder = mkdtempSync(join(process.env.TEST_PROGRAMS ?? tmpdir(), "tombolo-clock-"));
  chmodSync(folder, 0o755);
  const made = join(folder, "clock-shift.so");
  const built = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", made, join(import.meta.dirname, "clock-shift.c"), "-ldl"]);
  if (built.status !== 0) return null;
  const env = { ...process.env, LD_PRELOAD: made, [SHIFT]: "1000000000" };
  const { stdout } = spawnSync(process.execPath, ["-p", "Date.now()"], { encoding: "utf8", env });
  if (Number(stdout) - Date.now() > 900_000_000_000) library = made;
  return library;
}
