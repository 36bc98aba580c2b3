import pg from "pg";
import type { Step, WantedTable } from "../installation.ts";
import type { Goal, IdSequence, StridedSequence } from "./id-strides.ts";
import { ident, qualified } from "./identifier.ts";
import type { Relation } from "./shape.ts";

/** A column whose numbers come from a sequence, and what they are to be. */
export interface SequenceUser {
  readonly wanted: WantedTable;
  readonly relation: Relation;
  readonly column: string;
}

/**
 * To alter a sequence waits for the transactions that have drawn from it, so that the table shows all that was drawn. It begins anew at a number
 * of its slot, too (truncate … restart identity).
 */
export function strideSql(
  sequence: IdSequence,
  to: {
    readonly users: readonly SequenceUser[];
    readonly goal: Goal;
    readonly start: bigint;
    readonly original: { readonly increment: bigint; readonly start: bigint };
  },
): string {
  const { users, goal, start, original } = to;
  const { stride, slot } = goal;
  const literal = pg.escapeLiteral(sequence.sql);
  const drawn = users.map(({ relation, column }) => `(select max(${ident(column)}) from ${qualified(relation.schema, relation.name)})`);
  return [
    `alter sequence ${sequence.sql} increment by ${stride} start with ${start};`,
    `select pg_catalog.setval(${literal}, (least + mod(mod(${slot} - least, ${stride}) + ${stride}, ${stride}))::bigint, false)`,
    `  from (select floor(greatest(${drawn.join(", ")}, case when is_called then last_value else last_value - 1 end)::numeric) + 1 as least`,
    `          from ${sequence.sql}) as free;`,
    "insert into tombolo.strided_sequence (sequence, table_name, stride, slot, increment, start)",
    `  values (${literal}::regclass, ${pg.escapeLiteral(users[0]?.wanted.table ?? "")}, ${stride}, ${slot}, ${original.increment}, ${original.start})`,
    "  on conflict (sequence) do update set table_name = excluded.table_name, stride = excluded.stride, slot = excluded.slot;",
  ].join("\n");
}

/** The increment of before; the next number is the one that would have been next, which is above all that came in. */
export function putBack(sequence: StridedSequence): Step {
  const literal = pg.escapeLiteral(sequence.sql);
  const { increment, start } = sequence.original;
  const sql = [
    `alter sequence ${sequence.sql} increment by ${increment} start with ${start};`,
    `select pg_catalog.setval(${literal}, last_value + ${sequence.stride}, false) from ${sequence.sql} where is_called and last_value <= ${sequence.max} - ${sequence.stride};`,
    `delete from tombolo.strided_sequence where sequence = ${literal}::regclass;`,
  ].join("\n");
  return { action: "change", object: `sequence ${sequence.schema}.${sequence.name} (as it was before its numbers were set apart)`, sql };
}
