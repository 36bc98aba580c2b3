-- Comparisons of what has changed: from where on the log is kept for the next one.

create table tombolo.compare_hold (
  peer_id integer not null references tombolo.peer on delete cascade,
  table_name text not null,
  running boolean not null,                 -- of a comparison that goes on; it takes the other's place when that has compared the table
  run text not null,                        -- that comparison
  position bigint not null,                 -- in this log: what came before was compared with the peer
  -- [["17", null]]: keys of rows that were left different or undecided; json, which takes what a SQLite text may hold
  left_rows json not null default '[]',
  compared_as text not null default '',     -- how the table was then
  made_at timestamptz not null default clock_timestamp(),
  held_until timestamptz,                   -- null once the log is kept for it no longer
  primary key (peer_id, table_name, running)
);
revoke all on tombolo.compare_hold from public;

alter table tombolo.reconcile_run add column scope text not null default 'all';  -- all | changed: what was asked for
