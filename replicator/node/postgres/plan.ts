import { conflictFindings } from "../conflict-findings.ts";
import type { Finding, Plan, Step, WantedTable } from "../installation.ts";
import { captureTriggers, dropTriggerSql, PARTITION_TRIGGER, partitionTrigger, triggerFault } from "./capture.ts";
import { excludedFindings } from "./excluded.ts";
import { qualified } from "./identifier.ts";
import { functionSteps, installationFindings, migrationSteps, readInstalled } from "./migrate.ts";
import { splitLocal, tableFindings } from "./refuse.ts";
import { isStale, nextTableId, type Registered, registeredTables, registerSql, reregisterSql, unregisterSql } from "./registration.ts";
import { type Queryable, type Relation, relationsNamed, relationsOf, shapeOf } from "./shape.ts";
import {
  handoverSteps,
  identityBackStep,
  identityWarning,
  leaveSteps,
  publicationSteps,
  readSlotInstalled,
  slotDropSteps,
  slotSteps,
  slotTableSteps,
} from "./slot/plan.ts";
import { slotFindings, slotTableFindings } from "./slot/preconditions.ts";
import { type PlannedTable, planStrides } from "./stride-plan.ts";

/** How a node's changes get into its log; `node` is its name. */
export interface Capture {
  readonly node: string;
  readonly by: "trigger" | "slot";
}

/** A plan whose steps are done one after the other: a slot is not made, nor dropped, in a transaction that writes. */
export interface PhasedPlan extends Plan {
  readonly phases: { readonly first: readonly Step[]; readonly slot: readonly Step[]; readonly last: readonly Step[] };
}

/** What `apply` would do, and what keeps it from doing it. Only reads. */
export async function makePlan(client: Queryable, wanted: readonly WantedTable[], capture: Capture): Promise<PhasedPlan> {
  const installed = await readInstalled(client);
  const findings: Finding[] = await installationFindings(client, installed);
  const steps: Step[] = [...(await migrationSteps(client, installed)), ...(await functionSteps(client, installed))];
  const registered = installed.version > 0 ? await registeredTables(client) : [];
  const relations = await relationsNamed(
    client,
    wanted.map(({ local }) => splitLocal(local)),
  );
  const planned: PlannedTable[] = [];
  const slot = await readSlotInstalled(client, capture.node, relations);
  const bySlot = capture.by === "slot";
  if (bySlot) findings.push(...(await slotFindings(client, slot.slot)));
  const published: Relation[] = [];
  const triggersLeft: Step[] = [];
  let nextId = installed.version > 0 ? await nextTableId(client) : 1;
  const kept = new Set<string>();
  for (const table of wanted) {
    const relation = find(relations, table);
    const known = registered.find((row) => row.table === table.table);
    const found = [
      ...tableFindings(table, relation),
      ...excludedFindings(table, relation, known),
      ...decidingFindings(table, relation),
      ...(bySlot && relation !== undefined ? slotTableFindings(table, relation) : []),
    ];
    findings.push(...found);
    if (relation === undefined || found.some(({ severity }) => severity === "error")) continue;
    kept.add(relation.oid);
    planned.push({ wanted: table, relation });
    steps.push(...registrationSteps(table, relation, known, known?.id ?? nextId));
    if (bySlot) {
      published.push(relation);
      steps.push(...slotTableSteps(table, relation, slot));
      triggersLeft.push(...captureDropSteps(relation));
    } else {
      steps.push(...triggerSteps(table, relation, known?.id ?? nextId));
    }
    if (known === undefined) nextId++;
  }
  const names = new Set<string>(wanted.map(({ table }) => table));
  const gone = registered.filter(({ table }) => !names.has(table));
  // a registered table whose name now stands for another relation leaves its triggers on the old one
  const left = registered.filter(
    ({ table, relation }) => names.has(table) && !kept.has(relation) && relations.every(({ oid }) => oid !== relation),
  );
  steps.unshift(...(await dropSteps(client, gone, left)));
  const strides = await planStrides(client, planned);
  steps.push(...strides.steps);
  findings.push(...strides.findings);
  if (bySlot) {
    steps.push(...publicationSteps(published, slot));
    findings.push(...identityWarning(steps));
    return phased({ first: steps, slot: slotSteps(slot), last: handoverSteps(slot, triggersLeft) }, findings);
  }
  return phased(
    { first: steps, slot: slotDropSteps(slot), last: [...leaveSteps(slot), ...identityBackSteps(registered, relations)] },
    findings,
  );
}

function phased(phases: PhasedPlan["phases"], findings: readonly Finding[]): PhasedPlan {
  return { steps: [...phases.first, ...phases.slot, ...phases.last], findings, phases };
}

/** For tables that no slot captures any more. */
function identityBackSteps(registered: readonly Registered[], relations: readonly Relation[]): Step[] {
  return registered.flatMap(({ relation: oid, identityBefore }) => {
    const relation = relations.find((candidate) => candidate.oid === oid);
    return relation === undefined || identityBefore === null ? [] : [identityBackStep(relation, identityBefore)];
  });
}

function decidingFindings(wanted: WantedTable, relation: Relation | undefined): Finding[] {
  if (relation === undefined) return [];
  const { columns, key } = shapeOf(relation, wanted.table, wanted.channel, wanted.exclude);
  return conflictFindings(wanted, columns, key);
}

const find = (relations: readonly Relation[], wanted: WantedTable): Relation | undefined => {
  const { schema, table } = splitLocal(wanted.local);
  return relations.find((relation) => relation.schema === schema && relation.name === table);
};

function registrationSteps(wanted: WantedTable, relation: Relation, known: Registered | undefined, id: number): Step[] {
  const object = `table ${relation.schema}.${relation.name} in tombolo.captured_table`;
  if (known === undefined) return [{ action: "create", object, sql: registerSql(id, wanted, relation) }];
  if (isStale(known, wanted, relation)) return [{ action: "change", object, sql: reregisterSql(known, wanted, relation) }];
  return [];
}

function triggerSteps(wanted: WantedTable, relation: Relation, id: number): Step[] {
  const on = `${relation.schema}.${relation.name}`;
  const captured = { id, whole: wanted.wholeImages, excluded: wanted.exclude };
  const steps: Step[] = [];
  for (const expected of captureTriggers(relation, captured)) {
    const actual = relation.triggers.find(({ name }) => name === expected.name);
    const fault = triggerFault(relation, expected, actual);
    if (fault === null) continue;
    const object = `trigger ${expected.name} on ${on}`;
    if (fault === "TRIGGER_MISSING") steps.push({ action: "create", object, sql: expected.sql });
    else steps.push({ action: "change", object, sql: `${dropTriggerSql(relation.schema, relation.name, expected.name)}\n${expected.sql}` });
  }
  for (const partition of relation.partitions) {
    const object = `trigger ${PARTITION_TRIGGER} on ${partition.schema}.${partition.name}`;
    if (partition.triggers[PARTITION_TRIGGER] === undefined) {
      steps.push({ action: "create", object, sql: partitionTrigger(partition, captured) });
    }
    const disabled = Object.entries(partition.triggers).filter(([, enabled]) => enabled !== "A");
    for (const [name] of disabled) {
      const sql = `alter table ${qualified(partition.schema, partition.name)} enable always trigger ${name};`;
      steps.push({ action: "change", object: `trigger ${name} on ${partition.schema}.${partition.name}`, sql });
    }
  }
  return steps;
}

/** Triggers of tables that are no longer wanted, and their registrations. */
async function dropSteps(client: Queryable, gone: readonly Registered[], left: readonly Registered[]): Promise<Step[]> {
  const relations = await relationsOf(
    client,
    [...gone, ...left].map(({ relation }) => relation),
  );
  const steps = relations.flatMap(captureDropSteps);
  for (const registered of gone) {
    const object = `table ${registered.schema}.${registered.name} in tombolo.captured_table`;
    steps.push({ action: "drop", object, sql: unregisterSql(registered) });
  }
  return steps;
}

export function captureDropSteps(relation: Relation): Step[] {
  const own = relation.triggers.filter(({ ours }) => ours).map(({ name }) => ({ schema: relation.schema, table: relation.name, name }));
  // clones of row triggers go with the parent's
  const parts = relation.partitions
    .filter(({ triggers }) => PARTITION_TRIGGER in triggers)
    .map(({ schema, name }) => ({ schema, table: name, name: PARTITION_TRIGGER }));
  return [...own, ...parts].map(({ schema, table, name }) => ({
    action: "drop",
    object: `trigger ${name} on ${schema}.${table}`,
    sql: dropTriggerSql(schema, table, name),
  }));
}
