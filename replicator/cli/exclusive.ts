import { TomboloError } from "../change/error.ts";
import { acquireLease, type LeaseHold, type Purpose } from "../lifecycle/lease.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { Topology } from "../topology/topology.ts";
import type { CommandContext } from "./verb.ts";

/** Long enough for another `sync` to end. */
const PATIENCE_MS = 30_000;

/**
 * Does something while nobody else replicates the topology. Waits a while for another `sync`, but not for a `run`, which does not end:
 * throws `REPLICATOR_RUNS` (operator). When the hub cannot be reached nobody can hold the lease, and it goes ahead without (null).
 */
export async function whileNobodyReplicates<T>(
  context: CommandContext,
  topology: Topology,
  purpose: Exclude<Purpose, "run">,
  act: (hold: LeaseHold | null) => Promise<T>,
): Promise<T> {
  const store = await context.parts.leaseStore(hubOf(topology), topology.name);
  const give = new AbortController();
  const timer = setTimeout(() => give.abort(), PATIENCE_MS);
  let holder = "another process";
  let hubAway = false;
  let reason: unknown;
  let hold: LeaseHold | null = null;
  try {
    hold = await acquireLease(store, give.signal, {
      timers: systemTimers,
      purpose,
      onWait: (answer) => {
        holder = answer.holder;
        if (answer.isRun) give.abort();
        else context.out.note(`waiting for ${holder}`);
      },
      onError: (error) => {
        hubAway = true;
        reason = error;
        give.abort();
      },
    });
    if (hubAway) (await context.logger()).debug({ err: reason }, "no lease: the hub is away");
    if (hold === null && !hubAway) {
      throw new TomboloError(`this topology is being replicated by ${holder}`, {
        code: "REPLICATOR_RUNS",
        kind: "operator",
        hint: purpose === "sync" ? "It keeps the databases in step by itself." : `Stop it before you ${purpose}.`,
      });
    }
    return await act(hold);
  } finally {
    clearTimeout(timer);
    await hold?.release();
  }
}
