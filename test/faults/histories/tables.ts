/**
 * Bodies are tokens, one of a kind. `badge` has a value that is unique, and taken from few; a `purchase` has lines that go with it. `tally` counts, and
 * `ledger` has a row for each time that something was added: whatever is sent twice, or lost with a file, the one is the sum of the other. An account belongs to a node,
 * which alone moves money between its own. `beat` is written at the hub alone. A `task` is a shop's: where there is a filter, a store and an edge have those of one.
 */
export const SCHEMA = `
  create table note (id varchar(60) primary key not null, body varchar(60) not null);
  create table badge (id varchar(60) primary key not null, body varchar(60) not null, code integer unique);
  create table purchase (id varchar(60) primary key not null, body varchar(60) not null);
  create table line (id varchar(60) primary key not null, purchase varchar(60) not null references purchase (id) on delete cascade, body varchar(60) not null);
  create table tally (id varchar(60) primary key not null, n integer not null);
  create table ledger (id varchar(60) primary key not null, counter varchar(60) not null, n integer not null);
  create table account (id varchar(60) primary key not null, owner varchar(60) not null, n integer not null);
  create table task (id varchar(60) primary key not null, body varchar(60) not null, shop varchar(60) not null);
  create table beat (id integer primary key not null, n integer not null);`;

/** Of the topology. */
export const tables = (filter: string | null): string => `
      - { name: note, conflict: newest_wins }
      - { name: badge, conflict: newest_wins }
      - { name: purchase, conflict: newest_wins }
      - { name: line, conflict: newest_wins }
      - { name: tally, conflict: { policy: merge, columns: { n: counter } } }
      - ledger
      - account
      - { name: task, conflict: newest_wins${filter === null ? "" : `, filter: "${filter}"`} }
      - beat`;

/** What the oracle reads, sorted. `extra` is added while a history runs. */
export const COLUMNS: { readonly [table: string]: string } = {
  note: "id, body",
  badge: "id, body, code",
  purchase: "id, body",
  line: "id, purchase, body",
  tally: "id, n",
  ledger: "id, counter, n",
  account: "id, owner, n",
  task: "id, body, shop",
  beat: "id, n",
};
export const ADDED_COLUMN = "alter table note add column extra varchar(60)";

export const SHOPS = ["red", "green", "blue"];
export const COUNTERS = ["x", "y"];
export const CODES = 15;
export const ACCOUNTS = 4;
export const BALANCE = 100;

/** At the hub, before anybody has come. */
export function firstRows(owners: readonly string[]): string {
  const accounts = owners.flatMap((owner) =>
    Array.from({ length: ACCOUNTS }, (_, at) => `insert into account values ('${owner} ${at}', '${owner}', ${BALANCE})`),
  );
  const counters = COUNTERS.map((id) => `insert into tally values ('${id}', 0)`);
  return [...accounts, ...counters, "insert into beat values (1, 0)"].join("; ");
}
