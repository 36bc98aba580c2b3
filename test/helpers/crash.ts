import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { until } from "./command.ts";
import { KILLED } from "./postgres.ts";

/** Kills a server of `durableServer`. Returns when it is gone: one that is still ending would be taken for a server that runs. */
export async function killServer(directory: string): Promise<void> {
  const pid = Number(readFileSync(join(directory, "pgdata", "postmaster.pid"), "utf8").split("\n")[0]);
  process.kill(pid, "SIGKILL");
  await until(`server ${pid} is gone`, () => !isRunning(pid));
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** On the same port. The killed server's children may hold its shared memory for a moment. */
export async function restartServer(server: {
  readonly directory: string;
  readonly url: string;
  readonly settings?: { readonly [name: string]: string };
}): Promise<void> {
  const { directory, url, settings = {} } = server;
  for (let attempt = 1; ; attempt++) {
    try {
      await startEmbedded({ directory, port: Number(new URL(url).port), settings: { ...KILLED, ...settings } });
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await delay(200);
    }
  }
}
