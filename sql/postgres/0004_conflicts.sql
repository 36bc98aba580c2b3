-- Conflicts that a person decides, changes that were refused, and the rows that a child is given.

alter table tombolo.conflict_history drop constraint conflict_history_kind_check;
alter table tombolo.conflict_history add constraint conflict_history_kind_check
  check (kind in ('update_update', 'update_delete', 'delete_update', 'insert_insert', 'unique', 'foreign_key', 'check', 'filter'));
-- the columns that both sides claim; null where it is the row as a whole
alter table tombolo.conflict_history add column columns text[];
create index conflict_history_detected on tombolo.conflict_history (detected_at);

-- At a child: its changes that its parent has set aside, as the parent last told.
create table tombolo.refused_change (
  id bigint generated always as identity primary key,
  peer_id integer not null references tombolo.peer on delete cascade,
  table_name text not null,
  key json not null,                        -- as this node's changes gave it
  op "char" not null,
  code text not null,
  reason text not null,
  parked_at timestamptz not null
);
-- how many there are in all: the oldest are told in full
alter table tombolo.peer add column refused_changes bigint not null default 0;
-- how much of this node's log the sender of a parked change knew when it made it
alter table tombolo.parked_change add column seen bigint;
create index refused_change_peer on tombolo.refused_change (peer_id, table_name);

-- At a parent: the rows of a table that a child is given, and may write. What a number says never changes.
create table tombolo.scope (
  id bigint generated always as identity primary key,
  peer_id integer not null references tombolo.peer on delete cascade,
  table_name text not null,
  filter text not null,                     -- as the topology has it; '' for every row
  params json not null,                     -- {"region": "north"}
  reached boolean not null default false,   -- the child is known to have been at it
  created_at timestamptz not null default clock_timestamp()
);
create index scope_peer on tombolo.scope (peer_id, table_name);
-- At a child: the number of the parent's scope that the table was last filled by; null for every row.
alter table tombolo.peer_table add column scope bigint;

-- columns that stay at home, as the topology names them; the table may lack them
alter table tombolo.captured_table add column excluded text[] not null default '{}';

-- sequences of which this node hands out every stride-th number only, those that leave the remainder slot
create table tombolo.strided_sequence (
  sequence regclass primary key,
  table_name text not null,                 -- a table whose keys come from it
  stride bigint not null,
  slot bigint not null,
  -- as it was before: uninstall puts that back
  increment bigint not null,
  start bigint not null
);

revoke all on tombolo.refused_change, tombolo.scope, tombolo.strided_sequence from public;

-- Where the node captures from a replication slot: which one, and up to where what it delivers is in the change log.
create table tombolo.slot (
  singleton boolean primary key default true check (singleton),
  slot_name text not null,
  publication text not null,
  -- which cluster and which life of it the places below are in
  system_identifier text not null,
  timeline integer not null,
  end_lsn pg_lsn not null,                  -- whatever ended here or before is in the log
  mark bigint not null default 0,           -- the newest mark of another process that has come out of the slot
  state text not null default 'live' check (state in ('live', 'lost')),
  reason text
) with (fillfactor = 50);
-- Both are in the publication, as are peer and captured_table. A mark that comes out of the slot shows that everything committed before it has come.
create table tombolo.slot_mark (
  singleton boolean primary key default true check (singleton),
  mark bigint not null default 0,
  elsewhere boolean not null default false  -- set by a process that does not read the slot itself
) with (fillfactor = 50);
insert into tombolo.slot_mark default values;
-- When people made the changes that a transaction applies. Written and deleted in that transaction: it is in the stream only.
create table tombolo.slot_stamp (
  id bigint generated always as identity primary key,
  table_id integer not null,
  key :hstore.hstore not null,
  changed_at timestamptz not null
);
-- as it was before a slot needed whole old rows: 'd' 'n' 'f', or 'i' and the name of the index
alter table tombolo.captured_table add column identity_before text;

revoke all on tombolo.slot, tombolo.slot_mark, tombolo.slot_stamp from public;
revoke all on all sequences in schema tombolo from public;
