import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type ApplySession, blockedBy, setChangedAt } from "./apply-session.ts";
import { applyRow, inSavepoint } from "./attempt.ts";
import { isoTime } from "./clock.ts";
import { danglingChanges, hasDeferredKeys } from "./dangling.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { type ParkedChange, parkedAgain, parkedChanges, unpark } from "./parked.ts";
import { describe } from "./row-error.ts";

/** Retries at a time: the transaction stays short. */
const RETRY_LIMIT = 10_000n;

/** A parked change as it is to be tried now; undefined when its table is not received any more. */
type AsChange = (parked: ParkedChange) => { readonly table: IncomingTable; readonly change: Change } | undefined;

/**
 * Tries parked changes again, oldest first; a row whose first change still fails keeps its later ones waiting. Where the order was the
 * problem (a child row before its parent), a second round helps. Answers how many went through.
 */
export function retryParkedChanges(session: ApplySession, asChange: AsChange): number {
  let through = 0;
  for (let progress = true; progress; ) {
    const went = retryRound(session, asChange);
    through += went;
    progress = went > 0;
  }
  return through;
}

function retryRound(session: ApplySession, asChange: AsChange): number {
  const waiting = new Set<string>();
  let through = 0;
  for (const parked of parkedChanges(session.connection, session.peer.id, RETRY_LIMIT)) {
    const row = blockedBy(parked.table, parked.change.key);
    const again = asChange(parked);
    if (again === undefined || waiting.has(row)) continue;
    setChangedAt(session, parked.change.changedAt);
    const error = inSavepoint(session, () => applyChecked(session, again.table.incoming(again.change)));
    if (error === null) {
      through += 1;
      unpark(session.connection, parked.id);
    } else {
      waiting.add(row);
      parkedAgain(session.connection, parked.id, describe(error), isoTime(session.clock()));
    }
  }
  return through;
}

/** A foreign key that SQLite checks at the commit would fail everything: it is checked here. */
function applyChecked(session: ApplySession, incoming: IncomingChange): void {
  applyRow(session, incoming);
  const { table } = incoming;
  if (!hasDeferredKeys(session.connection, table.table.local)) return;
  if (danglingChanges(session.connection, new Set([table]), [incoming]).size === 0) return;
  throw new TomboloError("a deferred foreign key would be violated", { code: "FOREIGN_KEY_VIOLATION", kind: "operator" });
}
