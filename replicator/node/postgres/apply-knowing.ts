import type { ApplySession } from "./apply-session.ts";
import { pendingHere, takeBackDeleted } from "./deleted-here.ts";
import { applySet, type ChangeSet } from "./fast-path.ts";
import type { IncomingChange } from "./incoming.ts";
import { withReferrers } from "./referrers.ts";

/** Applies what fits and was not changed here in a way that forbids it; answers the rest. */
export async function applyKnowing(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[]): Promise<IncomingChange[]> {
  const referred = set.op === "D" ? await withReferrers(session, changes) : [];
  const pending = await pendingHere(session, set, changes);
  const toLookAt = new Set([...referred, ...pending]);
  const missed = await applySet(session, set, toLookAt.size === 0 ? changes : changes.filter((incoming) => !toLookAt.has(incoming)));
  if (set.op !== "I") return [...missed, ...toLookAt];
  const unfit = new Set(missed);
  const inserted = missed.length === 0 ? changes : changes.filter((incoming) => !unfit.has(incoming));
  return [...missed, ...(await takeBackDeleted(session, set, inserted))];
}
