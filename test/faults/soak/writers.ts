import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../helpers/random.ts";
import type { Books } from "../books.ts";
import type { Place } from "../places.ts";

/** `added` stays at its node; `account` and `beat` are written at the hub alone. */
export const SCHEMA = `
  create table note (id varchar(40) primary key not null, body text not null);
  create table tally (id varchar(40) primary key not null, n bigint not null);
  create table added (id varchar(40) primary key not null, n bigint not null);
  create table account (id integer primary key not null, n bigint not null);
  create table beat (id integer primary key not null, n bigint not null, at bigint not null);`;
export const TABLES = `
      - { name: note, conflict: newest_wins }
      - { name: tally, conflict: { policy: merge, columns: { n: counter } } }
      - account
      - beat`;
export const ACCOUNTS = 20;
export const BALANCE = 100;
/** Few, so that nodes come to the same numbers by themselves. */
export const COUNTERS = ["x", "y"];
/** At every node. */
export const OWN_ROWS = COUNTERS.map((id) => `insert into added values ('${id}', 0)`).join("; ");
export const FIRST_ROWS = `${COUNTERS.map((id) => `insert into tally values ('${id}', 0)`).join("; ")}; insert into beat values (1, 0, 0);
  insert into account select n, ${BALANCE} from generate_series(1, ${ACCOUNTS}) n`;

/** Rows that one writer has for itself, and rows that all write. */
const OWN = 150;
const SHARED = 60;

export interface WriterOptions {
  readonly place: Place;
  /** One of a kind. */
  readonly writer: string;
  readonly books: Books;
  readonly random: Random;
  readonly perSecond: number;
  readonly stop: AbortSignal;
}

/** Writes at a steady rate, as far as the database lets it. */
export async function keepWriting(options: WriterOptions): Promise<void> {
  const { perSecond, stop } = options;
  let due = performance.now();
  for (let number = 1; !stop.aborted; number++) {
    const ahead = due - performance.now();
    if (ahead > 0) await delay(ahead);
    // what was missed while the database was away is not made up for
    due = Math.max(due, performance.now() - 1_000) + 1_000 / perSecond;
    if (!(await once(options, number))) await delay(50);
  }
}

/** False where the database could not be reached. */
async function once({ place, writer, books, random }: WriterOptions, number: number): Promise<boolean> {
  const { int, pick, chance } = random;
  const token = `${writer}:${number}`;
  const lock = place.kind === "hub" || place.kind === "replica" ? " for update" : "";
  let over: string[] = [];
  let written: string[] = [];
  const dice = int(100);
  const failure = await place.write(function* () {
    if (dice < 12 && place.kind === "hub") {
      const [from, to] = [1 + int(ACCOUNTS), 1 + int(ACCOUNTS)].sort((a, b) => a - b) as [number, number];
      const amount = int(30) - 15;
      yield ["update account set n = n - ? where id = ?", amount, from];
      yield ["update account set n = n + ? where id = ?", amount, to];
      return;
    }
    if (dice < 30) {
      const [id, by] = [pick(COUNTERS), int(9) - 3];
      const [row] = yield [`select n from tally where id = ?${lock}`, id];
      if (row === undefined) return;
      yield ["update tally set n = n + ? where id = ?", by, id];
      yield ["update added set n = n + ? where id = ?", by, id];
      return;
    }
    const isShared = dice < 42;
    const id = isShared ? `shared ${int(SHARED)}` : `${writer} ${int(OWN)}`;
    const [row] = yield [`select body from note where id = ?${lock}`, id];
    over = row === undefined ? [] : [row[0] as string];
    if (!isShared && row !== undefined && chance(0.15)) {
      yield ["delete from note where id = ?", id];
      return;
    }
    yield row === undefined
      ? ["insert into note (id, body) values (?, ?)", id, token]
      : ["update note set body = ? where id = ?", token, id];
    written = [token];
  });
  if (failure === null) books.committed(written, over);
  else if (failure.sent) books.uncertain(over);
  return failure === null;
}

/** Says at the hub, five times a second, what time it is. */
export async function keepBeating(place: Place, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await place.write(function* () {
      yield ["update beat set n = n + 1, at = ? where id = 1", Date.now()];
    });
    await delay(200);
  }
}
