-- What Tombolo keeps in a Postgres database. :hstore is the schema of the hstore extension.
-- The schema belongs to the replicator's role; no other role has rights in it.

-- this database as a node: one row
create table tombolo.node (
  singleton boolean primary key default true check (singleton),
  epoch uuid not null default gen_random_uuid(),
  -- which cluster and database the epoch was made in: a restored, promoted or copied one shows as another (see docs/how-it-works.md)
  system_identifier text not null,
  database_oid oid not null,
  owns_hstore boolean not null default false,
  installed_at timestamptz not null default now()
);

create table tombolo.captured_table (
  id integer generated always as identity primary key,
  table_name text not null unique,          -- as the topology names it
  channel text not null,
  relation oid not null unique,
  local_schema text not null,
  local_table text not null,
  columns jsonb not null,                   -- [{name, type, base, notNull}], those that travel
  key_columns text[] not null,
  whole_images boolean not null,            -- updates log whole rows (detect: row)
  row_level boolean not null,               -- captured by row triggers (partitioned, target of a subscription)
  fingerprint text not null,                -- of the shape and of the triggers, see verify
  state text not null default 'live' check (state in ('live', 'must_compare', 'paused')),
  reason text,
  installed_at timestamptz not null default now()
);

-- one row, read by every capture: which segment is written, and whether the replicator sleeps and wants to be woken
create table tombolo.log_state (
  singleton boolean primary key default true check (singleton),
  segment smallint not null default 0,
  listening boolean not null default false
);
insert into tombolo.log_state default values;

-- cache 1: a later change of a row must never get a smaller number
create sequence tombolo.change_seq cache 1;

-- The change log. Three segments in turn, so that purging is a truncate of one that nobody writes.
-- seq orders changes of one row; xid decides in which tick a change is (see tick).
create table tombolo.change (
  seq bigint not null default nextval('tombolo.change_seq'),
  xid xid8 not null default pg_current_xact_id(),
  table_id integer not null,
  op "char" not null,                       -- I U D T R
  segment smallint not null,
  origin integer,                           -- the peer that it was applied from; null for a change made here
  target integer,                           -- the one peer that it is meant for (a refresh, a seed); null for all but its origin
  changed_at timestamptz not null default clock_timestamp(),
  key :hstore.hstore not null,
  old :hstore.hstore,
  new :hstore.hstore
) partition by list (segment);
create table tombolo.change_0 partition of tombolo.change for values in (0) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);
create table tombolo.change_1 partition of tombolo.change for values in (1) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);
create table tombolo.change_2 partition of tombolo.change for values in (2) with (autovacuum_enabled = off, toast.autovacuum_enabled = off);
-- seq as well, so that capture finds what a trigger of its own statement has just logged
create index change_xid on tombolo.change (xid, seq);

-- A sealed cut of the log: what is visible in `snapshot`. The batch between two ticks is what is visible in the second and not in the first.
create table tombolo.tick (
  position bigint generated always as identity primary key,
  snapshot pg_snapshot not null,
  -- per peer and channel, how much of the peer's log was applied here at the cut: {"store-1": {"sales": "123"}}
  seen jsonb not null,
  seq_high bigint not null default 0,       -- of the sequence at the cut: how large a window may be, before it is read
  sealed_at timestamptz not null default clock_timestamp()
);

create table tombolo.peer (
  id integer generated always as identity primary key,
  name text not null unique,
  role text not null check (role in ('parent', 'child')),
  state text not null default 'joining' check (state in ('joining', 'snapshot', 'live', 'lagging', 'must_resync', 'paused')),
  reason text,
  epoch uuid,                               -- the peer's, once it sent something
  received_packet_no bigint not null default 0,
  received_digest text not null default '',
  received_receipt jsonb,
  -- {"sales": {"position": "123", "ahead": {"shop.new": "140"}}}, in positions of the peer's log
  received jsonb not null default '{}',
  sent_packet_no bigint not null default 0,
  -- {"sales": "77"}: what the peer has acknowledged of this log
  sent jsonb not null default '{}',
  last_sync_in timestamptz,
  last_sync_out timestamptz,
  pending_changes bigint not null default 0,
  clock_offset_ms bigint,
  -- whether others read what is applied from this peer, so that it must be logged
  forwards boolean not null default false,
  -- the transaction that applies from this peer now: the mark that the capture triggers believe
  apply_xid xid8
) with (fillfactor = 50);

-- tables that were filled from the peer, or seeded for it
create table tombolo.peer_table (
  peer_id integer not null references tombolo.peer on delete cascade,
  table_name text not null,
  received boolean not null default false,  -- filled from, or started at, the peer
  seeded_at bigint,                         -- the position of this log from which the peer reads the table
  started_at bigint,                        -- the position of this log when the peer's own rows began to come
  primary key (peer_id, table_name)
);

create table tombolo.conflict_history (
  id bigint generated always as identity primary key,
  detected_at timestamptz not null default clock_timestamp(),
  table_name text not null,
  key jsonb not null,
  kind text not null check (kind in ('update_update', 'update_delete', 'delete_update', 'insert_insert', 'unique', 'foreign_key', 'check')),
  policy text not null,
  resolution text not null,
  reason text not null,
  parent_row jsonb,
  child_row jsonb,
  base_row jsonb,
  result_row jsonb,
  child_node text not null,
  parent_changed_at timestamptz,
  child_changed_at timestamptz,
  status text not null default 'resolved' check (status in ('resolved', 'open')),
  resolved_by text,
  resolved_at timestamptz
);
create index conflict_history_open on tombolo.conflict_history (detected_at) where status = 'open';

create table tombolo.parked_change (
  id bigint generated always as identity primary key,
  peer_id integer not null references tombolo.peer on delete cascade,
  packet_no bigint not null,
  table_name text not null,
  channel text not null,
  op "char" not null,
  -- exactly as they came, in the sender's terms; json, not jsonb, which refuses what a SQLite text may hold (U+0000)
  key json not null,
  old json,
  new json,
  shape json not null,                      -- the sender's shape of the table, to read the images by
  changed_at timestamptz not null,
  code text not null,                       -- of the error that parked it
  reason text not null,
  attempts integer not null default 1,
  parked_at timestamptz not null default clock_timestamp(),
  tried_at timestamptz not null default clock_timestamp()
);
create index parked_change_peer on tombolo.parked_change (peer_id, table_name);

create table tombolo.full_sync_run (
  id bigint generated always as identity primary key,
  peer text not null, direction text not null, state text not null, started_at timestamptz not null default now(),
  finished_at timestamptz, tables jsonb not null, rows bigint not null default 0, bytes bigint not null default 0, error text
);
create table tombolo.reconcile_run (
  id bigint generated always as identity primary key,
  name text not null, peer text not null, state text not null, started_at timestamptz not null default now(),
  finished_at timestamptz, tables jsonb not null, compared bigint not null default 0, differing bigint not null default 0,
  repaired bigint not null default 0, error text
);
create table tombolo.token (
  id bigint generated always as identity primary key,
  name text not null, role text not null, node text, hash bytea not null unique, created_at timestamptz not null default now(),
  expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz
);
create table tombolo.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(), who text not null, what text not null, details jsonb
);
