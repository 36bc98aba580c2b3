import { TomboloError } from "../change/error.ts";
import { acquireLease, type LeaseHold } from "../lifecycle/lease.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { Topology } from "../topology/topology.ts";
import type { CommandContext } from "./verb.ts";

/** Long enough for another `sync` to end, short enough not to wait for a `run` in vain. */
const PATIENCE_MS = 30_000;

/**
 * Does something while no replicator runs the topology. Waits a while for another one to end, then throws `REPLICATOR_RUNS`
 * (operator). When the hub cannot be reached nobody can hold the lease, and it goes ahead without (null).
 */
export async function whileNobodyReplicates<T>(
  context: CommandContext,
  topology: Topology,
  what: string,
  act: (hold: LeaseHold | null) => Promise<T>,
): Promise<T> {
  const store = context.parts.leaseStore(hubOf(topology), topology.name);
  const give = new AbortController();
  const timer = setTimeout(() => give.abort(), PATIENCE_MS);
  let holder = "another process";
  let hubAway = false;
  let hold: LeaseHold | null = null;
  try {
    hold = await acquireLease(store, give.signal, {
      timers: systemTimers,
      onWait: (name) => {
        holder = name;
        context.out.note(`waiting for ${name}, which replicates this topology`);
      },
      onError: (error) => {
        hubAway = true;
        context.log.debug({ err: error }, "no lease: the hub is away");
        give.abort();
      },
    });
    if (hold === null && !hubAway) {
      throw new TomboloError(`this topology is being replicated by ${holder}`, {
        code: "REPLICATOR_RUNS",
        kind: "operator",
        hint: `Stop it before ${what}.`,
      });
    }
    return await act(hold);
  } finally {
    clearTimeout(timer);
    await hold?.release();
  }
}
