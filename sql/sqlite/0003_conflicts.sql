-- Conflicts that a person decides, changes that were refused, and the rows that a child is given.

-- SQLite cannot change a check: the table is made anew
create table tombolo_conflict_history_new (
  id integer primary key,
  detected_at text not null,
  table_name text not null,
  key text not null,
  kind text not null check (kind in ('update_update', 'update_delete', 'delete_update', 'insert_insert', 'unique', 'foreign_key', 'check', 'filter')),
  policy text not null,
  resolution text not null,
  reason text not null,
  parent_row text,
  child_row text,
  base_row text,
  result_row text,
  child_node text not null,
  parent_changed_at text,
  child_changed_at text,
  status text not null default 'resolved' check (status in ('resolved', 'open')),
  resolved_by text,
  resolved_at text,
  columns text                              -- ["a", "b"]: those that both sides claim; null where it is the row as a whole
);
insert into tombolo_conflict_history_new (id, detected_at, table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
    child_node, parent_changed_at, child_changed_at, status, resolved_by, resolved_at)
  select id, detected_at, table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row,
    child_node, parent_changed_at, child_changed_at, status, resolved_by, resolved_at from tombolo_conflict_history;
drop table tombolo_conflict_history;
alter table tombolo_conflict_history_new rename to tombolo_conflict_history;
create index tombolo_conflict_history_open on tombolo_conflict_history (detected_at) where status = 'open';
create index tombolo_conflict_history_detected on tombolo_conflict_history (detected_at);

-- At a child: its changes that its parent has set aside, as the parent last told.
create table tombolo_refused_change (
  id integer primary key,
  peer_id integer not null references tombolo_peer on delete cascade,
  table_name text not null,
  key text not null,                        -- JSON, as this node's changes gave it
  op text not null,
  code text not null,
  reason text not null,
  parked_at text not null
);
-- how many there are in all: the oldest are told in full
alter table tombolo_peer add column refused_changes integer not null default 0;
-- how much of this node's log the sender of a parked change knew when it made it
alter table tombolo_parked_change add column seen integer;
create index tombolo_refused_change_peer on tombolo_refused_change (peer_id, table_name);

-- At a parent: the rows of a table that a child is given, and may write. What a number says never changes.
create table tombolo_scope (
  id integer primary key,
  peer_id integer not null references tombolo_peer on delete cascade,
  table_name text not null,
  filter text not null,                     -- as the topology has it; '' for every row
  params text not null,                     -- {"region": "north"}
  reached integer not null default 0,       -- the child is known to have been at it
  created_at text not null
);
-- At a child: the number of the parent's scope that the table was last filled by; null for every row.
alter table tombolo_peer_table add column scope integer;

-- ["internal_note"]: columns that stay at home, as the topology names them; the table may lack them
alter table tombolo_captured_table add column excluded text not null default '[]';
