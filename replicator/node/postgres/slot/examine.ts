import type { Finding } from "../../installation.ts";
import type { Queryable, Relation } from "../shape.ts";
import type { SlotInstalled } from "./plan.ts";
import { slotFindings } from "./preconditions.ts";
import { lossOf, type SlotState, slotState } from "./slot-state.ts";

/** Kept for a slot without a limit, this much is worth a word. */
const MUCH_BYTES = 1024 ** 3;
/** So many transactions leave a catalogue that is slow to read where they make temporary tables, or alter anything. */
const MANY_TRANSACTIONS = 10_000_000;

/** What is wrong with the capture of a table from the slot; null when it is as it should be. */
export function slotFault(relation: Relation, installed: SlotInstalled): { code: string; message: string } | null {
  if (installed.identities.get(relation.oid) !== "f") {
    return { code: "REPLICA_IDENTITY", message: "no longer has replica identity full: its old rows are not streamed" };
  }
  if (!installed.published?.includes(`${relation.schema}.${relation.name}`)) {
    return { code: "SLOT_UNPUBLISHED", message: "is no longer in the publication" };
  }
  return null;
}

/** The slot of a node that captures from one, for `doctor`; nothing for another node. */
export async function examineSlot(client: Queryable): Promise<Finding[]> {
  const state = await slotState(client);
  if (state === null) return [];
  const lost = lossFinding(state);
  if (lost !== null) return [lost];
  return [...(await slotFindings(client, state.slot)), useFinding(state), ...catalogueFindings(state)];
}

function lossFinding(state: SlotState): Finding | null {
  const loss = state.state === "lost" ? (state.reason ?? "") : lossOf(state, null);
  if (loss === null) return null;
  const hint = "Run `tombolo apply`: it makes a new slot. Then compare the node's tables with its neighbours'.";
  return { severity: "error", code: "SLOT_LOST", message: `changes of this node may be missing from its log: ${loss}`, hint };
}

/** What the server's log does not show: while the slot stands still, vacuum removes no row of the catalogue that has died since. */
function catalogueFindings({ slot, server }: SlotState): Finding[] {
  const age = server?.catalogueAge ?? 0;
  if (age <= Math.min(MANY_TRANSACTIONS, (server?.freezeAge ?? 0) / 2)) return [];
  const message = `slot ${slot} has kept vacuum from the system catalogue for ${age} transactions: it swells, and every query pays`;
  const hint = "Let the replicator catch up, end long transactions; then vacuum pg_catalog's largest tables.";
  return [{ severity: "warning", code: "SLOT_HOLDS_VACUUM", message, hint }];
}

function useFinding({ slot, server }: SlotState): Finding {
  const retained = server?.retainedBytes ?? 0;
  const safe = server?.safeBytes ?? null;
  const kept = `the server keeps ${Math.ceil(retained / 2 ** 20)} MB of its log for it`;
  if (safe !== null && safe < retained) {
    const message = `slot ${slot} will be lost when ${Math.floor(safe / 2 ** 20)} MB more have been written; ${kept}`;
    return { severity: "warning", code: "SLOT_RETAINED", message, hint: "Let the replicator catch up, or raise max_slot_wal_keep_size." };
  }
  if (server?.activePid === null || server?.activePid === undefined) {
    const message = `nobody reads slot ${slot}; ${kept}`;
    return {
      severity: "warning",
      code: "SLOT_UNREAD",
      message,
      hint: "Start `tombolo run`, or drop the capture with `tombolo uninstall`.",
    };
  }
  if (retained > MUCH_BYTES) {
    const message = `slot ${slot} lags behind; ${kept}`;
    return {
      severity: "warning",
      code: "SLOT_RETAINED",
      message,
      hint: "Find long transactions in pg_stat_activity, and see whether the replicator keeps up.",
    };
  }
  return { severity: "ok", code: "SLOT", message: `slot ${slot} is read by pid ${server.activePid}; ${kept}` };
}
