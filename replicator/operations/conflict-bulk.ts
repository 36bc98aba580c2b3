import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { Taken } from "../node/conflict-desk.ts";
import { conflictUnknown, decidedMeanwhile } from "../node/conflict-errors.ts";
import type { Node } from "../node/node.ts";
import { describeError } from "../observability/describe-error.ts";

export interface NamedConflict {
  readonly node: NodeName;
  readonly id: bigint;
}

/** What became of one of them; `error` is why nothing was done. */
export type BulkOutcome = NamedConflict & { readonly error: unknown };

/**
 * Decides many conflicts alike, one after the other, each in a transaction of its own: those that still wait for a person and whose rows are as the conflicts
 * left them. What somebody has decided, or changed, meanwhile stays as it is and is told of. @param reach throws for a node that is away.
 */
export async function decideMany(
  conflicts: readonly NamedConflict[],
  options: {
    readonly take: Taken;
    readonly who: string;
    readonly reach: (name: NodeName) => Promise<Node>;
    /** Those that have not had their turn when it aborts are left as they are. */
    readonly signal: AbortSignal;
  },
): Promise<readonly BulkOutcome[]> {
  const { take, who, reach, signal } = options;
  const outcomes: BulkOutcome[] = [];
  const away = new Map<NodeName, unknown>();
  for (const named of conflicts) {
    try {
      if (signal.aborted) throw draining();
      if (away.has(named.node)) throw away.get(named.node);
      await decideOne(await reach(named.node), named.id, { take, who });
      outcomes.push({ ...named, error: null });
    } catch (error) {
      // whoever is away is not waited for again and again
      if (describeError(error).kind === "connect") away.set(named.node, error);
      outcomes.push({ ...named, error });
    }
  }
  return outcomes;
}

const draining = (): TomboloError =>
  new TomboloError("the service is being stopped", { code: "HUB_DRAINING", kind: "retry", hint: "Try again." });

async function decideOne({ name, conflicts }: Node, id: bigint, by: { readonly take: Taken; readonly who: string }): Promise<void> {
  const record = (await conflicts.show(id))?.record;
  if (record === undefined) throw conflictUnknown(name, id);
  if (record.status !== "open") throw decidedMeanwhile(record);
  await conflicts.resolve(record, { take: by.take }, { who: by.who, force: false });
}
