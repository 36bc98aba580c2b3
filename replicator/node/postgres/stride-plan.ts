import type { Finding, Plan, Step, WantedTable } from "../installation.ts";
import { COUNTABLE } from "./column-sequences.ts";
import {
  type BehindColumn,
  firstInSlot,
  highest,
  type IdSequence,
  type StridedSequence,
  sequencesBehind,
  stridedSequences,
  upcoming,
} from "./id-strides.ts";
import { qualified } from "./identifier.ts";
import { type Queryable, type Relation, usableKey } from "./shape.ts";
import { putBack, type SequenceUser, strideSql } from "./stride-sql.ts";

/** A wanted table and where it is. */
export interface PlannedTable {
  readonly wanted: WantedTable;
  readonly relation: Relation;
}

/** What sets the ids of this node apart from those of others, or puts sequences back that need not be apart any more. */
export async function planStrides(client: Queryable, tables: readonly PlannedTable[]): Promise<Plan> {
  const strided = await stridedSequences(client);
  const concerned = tables.filter(({ wanted }) => wanted.idStride !== null || wanted.sharesKeys);
  const behind = await sequencesBehind(
    client,
    concerned.map(({ relation }) => relation.oid),
  );
  const findings: Finding[] = [];
  const users = new Map<string, { readonly sequence: IdSequence; readonly users: SequenceUser[] }>();
  for (const { wanted, relation } of concerned) {
    const key = usableKey(relation)?.columns ?? [];
    const own = behind.filter((candidate) => candidate.relation === relation.oid && key.includes(candidate.column));
    if (wanted.idStride === null) findings.push(...collisions(wanted, key, own));
    else if (own.length === 0) findings.push(nothingToStride(wanted));
    for (const sequence of wanted.idStride === null ? [] : own) {
      const group = users.get(sequence.oid) ?? { sequence, users: [] };
      users.set(sequence.oid, group);
      group.users.push({ wanted, relation, column: sequence.column });
    }
  }
  const steps = strided.filter(({ oid }) => !users.has(oid)).map(putBack);
  for (const group of users.values()) {
    const known = strided.find(({ oid }) => oid === group.sequence.oid);
    const planned = await planSequence(client, { ...group, known });
    steps.push(...planned.steps);
    findings.push(...planned.findings);
  }
  return { steps, findings };
}

const REMEDY = "Use uuid keys, or let each node have numbers of its own with `ids: { stride: … }`.";

function collisions({ table, local }: WantedTable, key: readonly string[], own: readonly BehindColumn[]): Finding[] {
  // with other columns in the key it may well say where the row was made; what counts by more than one has been set apart by someone
  if (key.length !== 1) return [];
  return own
    .filter(({ increment }) => increment === 1n || increment === -1n)
    .map(({ column, schema, name }) => {
      const message = `${local} takes its ${column} from the sequence ${schema}.${name}, as other nodes do from theirs: two rows will get the same`;
      return { severity: "warning", code: "IDS_COLLIDE", table, message, hint: REMEDY };
    });
}

function nothingToStride({ table, local }: WantedTable): Finding {
  const message = `${local} takes no column of its key from a sequence: \`ids\` has nothing to set apart here`;
  const hint = "See to it that applications make keys that no other node makes.";
  return { severity: "warning", code: "IDS_WITHOUT_SEQUENCE", table, message, hint };
}

async function planSequence(
  client: Queryable,
  {
    sequence,
    users,
    known,
  }: { readonly sequence: IdSequence; readonly users: readonly SequenceUser[]; readonly known: StridedSequence | undefined },
): Promise<Plan> {
  const [{ wanted }] = users as [SequenceUser];
  const object = `sequence ${sequence.schema}.${sequence.name}`;
  const finding = (severity: "error" | "warning", code: string, message: string, hint: string): Finding => ({
    severity,
    code,
    table: wanted.table,
    message: `${object} ${message}`,
    hint,
  });
  const unfit = unfitness(sequence, users);
  if (unfit !== null) return { steps: [], findings: [finding("error", "IDS_SEQUENCE_UNFIT", ...unfit)] };
  const goal = { stride: BigInt(wanted.idStride?.stride ?? 1), slot: BigInt(wanted.idStride?.slot ?? 0) };
  const next = await upcoming(client, sequence);
  const original = known?.original ?? sequence;
  const start = firstInSlot(original.start, goal);
  const asWanted = sequence.increment === goal.stride && next === firstInSlot(next, goal) && sequence.start === start;
  if (asWanted && known?.stride === goal.stride && known.slot === goal.slot) return { steps: [], findings: [] };
  const change: Step = {
    action: "change",
    object: `${object} (numbers ${goal.stride} apart, slot ${goal.slot})`,
    sql: strideSql(sequence, { users, goal, start, original }),
  };
  const findings: Finding[] = [];
  if (firstInSlot(await firstFree(client, next, users), goal) > sequence.max) {
    const message = `ends at ${sequence.max}: no number of slot ${goal.slot} is left`;
    findings.push(finding("error", "IDS_SEQUENCE_UNFIT", message, "Make the key and its sequence wider, or use other keys."));
  }
  if (sequence.cache > 1n) {
    const message = `keeps ${sequence.cache} numbers in every open session, which still hands out those of before`;
    findings.push(finding("warning", "IDS_CACHED", message, "Let the applications connect anew after `tombolo apply`."));
  }
  if (known !== undefined && (known.slot !== goal.slot || known.stride !== goal.stride)) {
    const message = `gets slot ${goal.slot} of ${goal.stride}, and had ${known.slot} of ${known.stride}: another node may still have rows that it made in the new one`;
    const hint = "Sync all nodes first; give nodes an `id_slot`, so that it stays when others come and go.";
    findings.push(finding("warning", "IDS_SLOT_MOVED", message, hint));
  }
  return { steps: [change], findings };
}

/** The first number that is neither drawn nor in a table. */
async function firstFree(client: Queryable, next: bigint, users: readonly SequenceUser[]): Promise<bigint> {
  let least = next;
  for (const { relation, column } of users) {
    const most = await highest(client, qualified(relation.schema, relation.name), column);
    if (most !== null && most >= least) least = most + 1n;
  }
  return least;
}

/** Message and hint. */
function unfitness(sequence: IdSequence, users: readonly SequenceUser[]): [string, string] | null {
  const strides = new Set(users.map(({ wanted }) => wanted.idStride?.stride));
  if (strides.size > 1) {
    return [`is used by tables with different strides: ${users.map(({ wanted }) => wanted.table).join(", ")}`, "Give them the same `ids`."];
  }
  const uncounted = users.find(
    ({ relation, column }) => !relation.columns.some(({ name, base }) => name === column && COUNTABLE.has(base)),
  );
  if (uncounted !== undefined) return [`fills the column ${uncounted.column}, which is no number`, "Use other keys, or take out `ids`."];
  if (sequence.increment < 0n) return ["counts downward", "Let it count upward, or take out `ids`."];
  if (sequence.cycles)
    return ["begins anew at its end, where its numbers would be others'", `Run alter sequence ${sequence.sql} no cycle.`];
  if (!sequence.owned) {
    return [`belongs to ${sequence.owner}: the replicator's role may not alter it`, "Make the role a member of the owner."];
  }
  return null;
}
