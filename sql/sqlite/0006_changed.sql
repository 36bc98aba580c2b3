-- Comparisons of what has changed: from where on the log is kept for the next one.

create table tombolo_compare_hold (
  peer_id integer not null references tombolo_peer on delete cascade,
  table_name text not null,
  running integer not null,                 -- of a comparison that goes on; it takes the other's place when that has compared the table
  run text not null,                        -- that comparison
  position integer not null,                -- in this log: what came before was compared with the peer
  left_rows text not null default '[]',     -- JSON: keys of rows that were left different or undecided
  compared_as text not null default '',     -- how the table was then
  made_at text not null,
  held_until text,                          -- null once the log is kept for it no longer
  primary key (peer_id, table_name, running)
) without rowid;

-- all | changed: what was asked for
alter table tombolo_reconcile_run add column scope text not null default 'all';
