import type { ApplySession } from "./apply-session.ts";
import { pendingHere, takeBackDeleted } from "./deleted-here.ts";
import { applySet, type ChangeSet } from "./fast-path.ts";
import type { IncomingChange } from "./incoming.ts";
import { withReferrers } from "./referrers.ts";

const NONE: ReadonlySet<IncomingChange> = new Set();

/** Applies what fits and was not deleted here; answers the rest. */
export async function applyKnowing(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[]): Promise<IncomingChange[]> {
  const toLookAt =
    set.op === "D" ? new Set([...(await withReferrers(session, changes)), ...(await pendingHere(session, set, changes))]) : NONE;
  const missed = await applySet(session, set, toLookAt.size === 0 ? changes : changes.filter((incoming) => !toLookAt.has(incoming)));
  if (set.op !== "I") return [...missed, ...toLookAt];
  const unfit = new Set(missed);
  const inserted = missed.length === 0 ? changes : changes.filter((incoming) => !unfit.has(incoming));
  return [...missed, ...(await takeBackDeleted(session, set, inserted))];
}
