import type { Random } from "../../helpers/random.ts";
import type { Statement } from "../places.ts";
import { CODES, COUNTERS, SHOPS } from "./tables.ts";

/** What a transaction is made with. It says in `written` and `over` which tokens it writes, and which it saw and replaced. */
export interface Pen {
  readonly random: Random;
  /** Whose accounts are moved between. */
  readonly owner: string;
  /** What a row that was read is locked with, so that nobody writes between reading and writing; nothing in SQLite. */
  readonly lock: string;
  /** Whose tasks are here; null for everybody's. */
  readonly shop: string | null;
  /** Whether notes have a column more here. */
  readonly hasExtra: boolean;
  /** A new token. */
  next(): string;
  readonly written: string[];
  readonly over: string[];
  /** By line. */
  readonly purchaseOf: Map<string, string>;
}
type Statements = Generator<Statement, void, unknown[][]>;

const some = (pen: Pen, table: string, columns = "id, body", where = "true"): Statement => [
  `select ${columns} from ${table} where ${where} order by random() limit 1${pen.lock === "" ? "" : `${pen.lock} skip locked`}`,
];

function replaces(pen: Pen, over: unknown): string {
  const token = pen.next();
  pen.written.push(token);
  if (over !== undefined) pen.over.push(over as string);
  return token;
}

/** Replaces what a row says. */
const edit = (table: string) =>
  function* (pen: Pen): Statements {
    const [row] = yield some(pen, table);
    if (row === undefined) return;
    yield [`update ${table} set body = ? where id = ?`, replaces(pen, row[1]), row[0]];
  };
const editLine = edit("line");
const editTask = edit("task");

const remove = (table: string) =>
  function* (pen: Pen): Statements {
    const [row] = yield some(pen, table);
    if (row === undefined) return;
    pen.over.push(row[1] as string);
    yield [`delete from ${table} where id = ?`, row[0]];
  };
const deleteNote = remove("note");
const deleteBadge = remove("badge");
const deleteTask = remove("task");

function* newNote(pen: Pen): Statements {
  const token = replaces(pen, undefined);
  yield ["insert into note (id, body) values (?, ?)", token, token];
}

function* editNote(pen: Pen): Statements {
  const [row] = yield some(pen, "note");
  if (row === undefined) return;
  const token = replaces(pen, row[1]);
  yield pen.hasExtra && pen.random.chance(0.5)
    ? ["update note set body = ?, extra = ? where id = ?", token, token, row[0]]
    : ["update note set body = ? where id = ?", token, row[0]];
}

function* renameNote(pen: Pen): Statements {
  const [row] = yield some(pen, "note");
  if (row === undefined) return;
  const token = replaces(pen, row[1]);
  yield ["update note set id = ?, body = ? where id = ?", token, token, row[0]];
}

function* makeNoteAgain(pen: Pen): Statements {
  const [row] = yield some(pen, "note");
  if (row === undefined) return;
  yield ["delete from note where id = ?", row[0]];
  yield ["insert into note (id, body) values (?, ?)", row[0], replaces(pen, row[1])];
}

function* newBadge(pen: Pen): Statements {
  const token = replaces(pen, undefined);
  yield ["insert into badge (id, body, code) values (?, ?, ?)", token, token, 1 + pen.random.int(CODES)];
}

function* recodeBadge(pen: Pen): Statements {
  const [row] = yield some(pen, "badge");
  if (row === undefined) return;
  const code = pen.random.chance(0.3) ? null : 1 + pen.random.int(CODES);
  yield ["update badge set body = ?, code = ? where id = ?", replaces(pen, row[1]), code, row[0]];
}

/** Two badges give each other their codes. */
function* swapBadges(pen: Pen): Statements {
  const rows = yield [
    `select id, body, code from badge where code is not null order by random() limit 2${pen.lock === "" ? "" : `${pen.lock} skip locked`}`,
  ];
  const [one, two] = rows;
  if (one === undefined || two === undefined) return;
  yield ["update badge set code = null where id = ?", one[0]];
  yield ["update badge set code = ?, body = ? where id = ?", one[2], replaces(pen, two[1]), two[0]];
  yield ["update badge set code = ?, body = ? where id = ?", two[2], replaces(pen, one[1]), one[0]];
}

function* buy(pen: Pen): Statements {
  const purchase = replaces(pen, undefined);
  yield ["insert into purchase (id, body) values (?, ?)", purchase, purchase];
  for (let at = pen.random.int(3); at >= 0; at--) yield newLine(pen, purchase);
}

function newLine(pen: Pen, purchase: string): Statement {
  const line = replaces(pen, undefined);
  pen.purchaseOf.set(line, purchase);
  return ["insert into line (id, purchase, body) values (?, ?, ?)", line, purchase, line];
}

function* addLine(pen: Pen): Statements {
  const [row] = yield some(pen, "purchase", "id");
  if (row === undefined) return;
  yield newLine(pen, row[0] as string);
}

/** With its lines. */
function* cancelPurchase(pen: Pen): Statements {
  const [row] = yield some(pen, "purchase");
  if (row === undefined) return;
  const lines = yield [`select body from line where purchase = ?${pen.lock}`, row[0]];
  pen.over.push(row[1] as string, ...lines.map(([body]) => body as string));
  yield ["delete from purchase where id = ?", row[0]];
}

function* count(pen: Pen): Statements {
  const counter = pen.random.pick(COUNTERS);
  const [row] = yield [`select n from tally where id = ?${pen.lock}`, counter];
  // not before there is something to count in
  if (row === undefined) return;
  const by = pen.random.int(9) - 3;
  yield ["update tally set n = n + ? where id = ?", by, counter];
  yield ["insert into ledger (id, counter, n) values (?, ?, ?)", pen.next(), counter, by];
}

function* transfer(pen: Pen): Statements {
  const rows = yield [`select id from account where owner = ? order by id${pen.lock}`, pen.owner];
  if (rows.length === 0) return;
  const amount = pen.random.int(30) - 15;
  yield ["update account set n = n - ? where id = ?", amount, pen.random.pick(rows)[0]];
  yield ["update account set n = n + ? where id = ?", amount, pen.random.pick(rows)[0]];
}

function* newTask(pen: Pen): Statements {
  const token = replaces(pen, undefined);
  yield ["insert into task (id, body, shop) values (?, ?, ?)", token, token, pen.shop ?? pen.random.pick(SHOPS)];
}

/** Where it is not everybody's to say whose a task is, it is refused. */
function* moveTask(pen: Pen): Statements {
  const [row] = yield some(pen, "task");
  if (row === undefined) return;
  yield ["update task set body = ?, shop = ? where id = ?", replaces(pen, row[1]), pen.random.pick(SHOPS), row[0]];
}

function* manyThings(pen: Pen): Statements {
  yield* count(pen);
  yield* editNote(pen);
  yield* addLine(pen);
  yield* transfer(pen);
}

/** With how often each comes. */
const KINDS: readonly (readonly [(pen: Pen) => Statements, number])[] = [
  [newNote, 14],
  [editNote, 20],
  [renameNote, 5],
  [deleteNote, 5],
  [makeNoteAgain, 4],
  [newBadge, 4],
  [recodeBadge, 5],
  [swapBadges, 4],
  [deleteBadge, 2],
  [buy, 8],
  [addLine, 6],
  [editLine, 6],
  [cancelPurchase, 4],
  [count, 10],
  [transfer, 8],
  [newTask, 7],
  [editTask, 8],
  [moveTask, 5],
  [deleteTask, 3],
  [manyThings, 6],
];
const CHOICES = KINDS.flatMap(([kind, times]) => Array.from({ length: times }, () => kind));

export const anything = ({ pick }: Random): ((pen: Pen) => Statements) => pick(CHOICES);
/** What may be told twice, and by a database that has half of what others have. */
export const plain = ({ pick }: Random): ((pen: Pen) => Statements) =>
  pick([newNote, editNote, renameNote, buy, addLine, newTask, editTask]);
/** What a transaction that is held open does. */
export const held = ({ pick }: Random): ((pen: Pen) => Statements) => pick([newNote, buy, count, transfer, manyThings]);
