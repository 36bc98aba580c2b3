import { TomboloError } from "../../change/error.ts";
import { channelName, tableName } from "../../change/names.ts";
import type { Drift } from "../installation.ts";
import { captureTriggers, triggerFault } from "./capture.ts";
import { firstInSlot, stridedSequences, upcoming } from "./id-strides.ts";
import { qualified } from "./identifier.ts";
import { CAPTURE_HASH } from "./migrate.ts";
import { type Registered, registeredTables, sameStorage, storageOf } from "./registration.ts";
import { needsRowTriggers, type Queryable, type Relation, relationsOf, shapeOf } from "./shape.ts";
import { slotFault } from "./slot/examine.ts";
import { readSlotInstalled, type SlotInstalled } from "./slot/plan.ts";

const APPLY = "Run `tombolo plan`, then `tombolo apply`; compare the table with its neighbours.";

/**
 * Compares what is captured with what was installed. Whatever may have let a change pass unseen is recorded with the table, once:
 * `must_compare` stays until someone has compared, even when the cause is gone. Four short queries.
 */
export async function verify(client: Queryable): Promise<Drift[]> {
  const { registered, changed } = await read(client);
  const relations = await relationsOf(
    client,
    registered.map(({ relation }) => relation),
  );
  const slot = await readSlotInstalled(client, "", relations);
  const drifts: Drift[] = [];
  for (const table of registered) {
    const relation = relations.find(({ oid }) => oid === table.relation);
    const found = changed ? FUNCTIONS_CHANGED : await driftOf(client, table, { relation, slot });
    if (found === null) {
      await refresh(client, table, relation);
      continue;
    }
    drifts.push({
      table: tableName(table.table),
      code: found.code,
      message: `${table.schema}.${table.name} ${found.message}`,
      hint: APPLY,
    });
    if (table.state === "must_compare" && table.reason === found.code) continue;
    await client.query("update tombolo.captured_table set state = 'must_compare', reason = $2 where id = $1", [table.id, found.code]);
  }
  return [...drifts, ...(await lostStrides(client))];
}

/** Sequences that hand out numbers of other nodes, since someone altered them. No change passed unseen: nothing is recorded. */
async function lostStrides(client: Queryable): Promise<Drift[]> {
  const drifts: Drift[] = [];
  for (const sequence of (await stridedSequences(client)).filter(({ owned }) => owned)) {
    const { stride, increment, table, sql } = sequence;
    const next = await upcoming(client, sequence);
    const apart = increment === stride && next === firstInSlot(next, sequence);
    const message = `${sql} hands out numbers that are other nodes': someone altered or restarted it`;
    if (!apart)
      drifts.push({ table: tableName(table), code: "IDS_STRIDE_LOST", message, hint: "Run `tombolo plan`, then `tombolo apply`." });
  }
  return drifts;
}

interface Fault {
  readonly code: string;
  readonly message: string;
}

const FUNCTIONS_CHANGED: Fault = { code: "CAPTURE_FUNCTION_CHANGED", message: "is captured by a function that someone changed" };

async function read(client: Queryable): Promise<{ registered: Registered[]; changed: boolean }> {
  const { rows } = await client.query<{ changed: string }>(
    `select capture_hash is distinct from ${CAPTURE_HASH} as changed from tombolo.node`,
  );
  if (rows[0] === undefined) {
    throw new TomboloError("the database has lost the row of tombolo.node", {
      code: "NODE_MISSING",
      kind: "operator",
      hint: "Run `tombolo apply`; the node then gets a new epoch.",
    });
  }
  return { registered: await registeredTables(client), changed: rows[0].changed === "t" };
}

async function driftOf(
  client: Queryable,
  table: Registered,
  { relation, slot }: { readonly relation: Relation | undefined; readonly slot: SlotInstalled },
): Promise<Fault | null> {
  if (relation === undefined) return { code: "TABLE_DROPPED", message: "was dropped" };
  if (relation.schema !== table.schema || relation.name !== table.name) {
    return { code: "TABLE_RENAMED", message: `is now ${relation.schema}.${relation.name}` };
  }
  if (shapeOf(relation, tableName(table.table), channelName(table.channel), table.excluded).hash !== table.fingerprint) {
    return { code: "TABLE_ALTERED", message: "has other columns, or another key, than when it was installed" };
  }
  if (needsRowTriggers(relation) !== table.rowLevel) {
    return { code: "CAPTURE_BY_ROW", message: "became, or is no longer, the target of a native subscription" };
  }
  const capture = slot.state === null ? triggersFault(table, relation) : slotFault(relation, slot);
  return capture ?? (await storageFault(client, table, relation));
}

function triggersFault(table: Registered, relation: Relation): Fault | null {
  for (const expected of captureTriggers(relation, table)) {
    const fault = triggerFault(
      relation,
      expected,
      relation.triggers.find(({ name }) => name === expected.name),
    );
    if (fault !== null) return { code: fault, message: `has no working trigger ${expected.name}` };
  }
  for (const { schema, name, triggers } of relation.partitions) {
    const disabled = Object.entries(triggers).find(([, enabled]) => enabled !== "A" && relation.owned);
    if (disabled !== undefined) return { code: "TRIGGER_DISABLED", message: `has no working trigger ${disabled[0]} on ${schema}.${name}` };
  }
  return null;
}

async function storageFault(client: Queryable, table: Registered, relation: Relation): Promise<Fault | null> {
  const { storage } = table;
  if (storage === null) return null;
  if (storage.filenode !== relation.filenode && storage.columnMarks !== relation.columnMarks) {
    return { code: "TABLE_REWRITTEN", message: "was rewritten by an ALTER TABLE" };
  }
  const now = new Set(relation.partitions.map(({ oid }) => oid));
  if (storage.partitions.some((oid) => !now.has(oid))) return { code: "PARTITION_DETACHED", message: "has lost a partition" };
  for (const partition of relation.partitions.filter(({ oid }) => !storage.partitions.includes(oid))) {
    // a new partition that is empty brought no rows, and its row triggers came with it
    const { rows } = await client.query(`select from ${qualified(partition.schema, partition.name)} limit 1`);
    if (rows.length > 0)
      return { code: "PARTITION_ATTACHED", message: `has a new partition ${partition.schema}.${partition.name}, with rows` };
  }
  return null;
}

/** What changed without harm (VACUUM FULL, a new partition that is empty) is what the next look compares with. */
async function refresh(client: Queryable, table: Registered, relation: Relation | undefined): Promise<void> {
  if (relation === undefined || sameStorage(table.storage, storageOf(relation))) return;
  await client.query("update tombolo.captured_table set storage = $2 where id = $1", [table.id, JSON.stringify(storageOf(relation))]);
}
