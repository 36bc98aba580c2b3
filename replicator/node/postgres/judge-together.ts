import type pg from "pg";
import { type Clash, changeTime, type Verdict } from "../../change/verdict.ts";
import { type ApplySession, type Looked, prepared } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { clashOf } from "./clash.ts";
import { conflictRecords, finalRow } from "./history.ts";
import { inOneGo } from "./in-one-go.ts";
import { byTable, type IncomingChange, type TextRow } from "./incoming.ts";
import { takeLooked } from "./look-ahead.ts";
import { presentRefreshes, putRefresh } from "./refresh.ts";
import { columnNamed, settleStatement } from "./set-statements.ts";

/** A change of a child that was judged, and whose row is here. */
interface Decided {
  readonly incoming: IncomingChange;
  readonly key: TextRow;
  readonly parent: TextRow;
  readonly clash: Clash;
  readonly verdict: Verdict;
}

/**
 * Judges changes of a child whose rows were looked at ahead (`lookAhead`) and carries the verdicts out, all in a few statements. Answers the changes that have to be
 * gone through by themselves: whose row is not here or is to go, or is made of both sides' edits and may be refused. Throws the database's error.
 */
export async function judgeTogether(session: ApplySession, changes: readonly IncomingChange[]): Promise<readonly IncomingChange[]> {
  const judged = new Map<IncomingChange, Decided>();
  const others: IncomingChange[] = [];
  for (const incoming of changes) {
    const decided = await decide(session, incoming);
    if (decided === null) others.push(incoming);
    else judged.set(incoming, decided);
  }
  for (const [table, own] of byTable(judged.keys())) {
    await carryOutAll(
      session,
      table,
      own.map((incoming) => judged.get(incoming) as Decided),
    );
  }
  return others;
}

async function decide(session: ApplySession, incoming: IncomingChange): Promise<Decided | null> {
  const looked = session.looked.get(incoming);
  const { op } = incoming.change;
  if (looked === undefined || looked.row === null || op === "R" || op === "T") return null;
  const { key, before, after, row: parent, entries: concurrent } = looked;
  const clash = await clashOf(session, incoming, { key, before, after, parent, concurrent });
  const verdict = await session.scope.judge(incoming.table.table, clash, session.context.judge);
  if (verdict.result === null || verdict.ifRefused !== undefined) {
    // nobody is asked twice about one conflict
    const kept: Looked = { ...looked, decided: { clash, verdict } };
    session.looked.set(incoming, kept);
    return null;
  }
  takeLooked(session, incoming);
  return { incoming, key, parent, clash, verdict };
}

async function carryOutAll(session: ApplySession, table: CapturedTable, decided: readonly Decided[]): Promise<void> {
  const { client, outcome } = session;
  const updates = new Map<string, { readonly names: readonly string[]; readonly rows: Decided[] }>();
  for (const one of decided) {
    const wanted = one.verdict.result as TextRow;
    const names = Object.keys(wanted).filter((name) => wanted[name] !== one.parent[name]);
    const id = names.join("\0");
    const alike = updates.get(id) ?? { names, rows: [] };
    alike.rows.push(one);
    updates.set(id, alike);
  }
  for (const { names, rows } of updates.values()) if (names.length > 0) await update(client, table, names, rows);
  const conflicts = decided.flatMap(({ clash, verdict: { conflict, result }, key, parent }) =>
    conflict === null ? [] : [{ clash, conflict, key, result: finalRow(parent, result as TextRow) }],
  );
  const rows = decided.flatMap(({ clash, verdict, key }) => (verdict.refresh ? [{ key, changedAt: changeTime(clash, verdict) }] : []));
  const statements = [
    ...(conflicts.length > 0 ? [conflictRecords(conflicts)] : []),
    ...(rows.length > 0 ? [presentRefreshes(session, table, { peerId: session.peer.id, rows })] : []),
  ];
  if (statements.length > 0) {
    const done = await inOneGo<readonly pg.QueryResult[]>(client, (go) => statements.map((statement) => go.query(statement)));
    // a trigger may have kept a row out; told twice does no harm
    if (rows.length > 0 && done.at(-1)?.rowCount !== rows.length) {
      for (const row of rows) await putRefresh(session, table, { ...row, peerId: session.peer.id });
    }
  }
  for (const { conflict } of conflicts) outcome.conflict(table.name, conflict.kind, conflict.resolution);
  for (const { incoming } of decided) outcome.count(incoming.change.op, 1);
}

async function update(client: pg.ClientBase, table: CapturedTable, names: readonly string[], rows: readonly Decided[]): Promise<void> {
  const columns = names.map((name) => columnNamed(table, name));
  const text = settleStatement(table, columns);
  await prepared(client, text, [
    ...table.key.map((name) => textArray(rows.map(({ key }) => key[name] ?? null))),
    ...names.map((name) => textArray(rows.map(({ verdict }) => (verdict.result as TextRow)[name] ?? null))),
  ]);
}
