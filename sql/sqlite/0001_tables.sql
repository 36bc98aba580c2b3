-- What Tombolo keeps in a SQLite database. Rows are JSON text, times are ISO text in UTC with milliseconds.
-- No autoincrement: it would leave a sqlite_sequence behind. The log never gives a number twice, because its newest row is never deleted.

-- this database as a node: one row
create table tombolo_node (
  singleton integer primary key check (singleton = 1),
  epoch text not null,
  -- {"sales": "70"}: everything up to here has been purged from the log
  purged text not null default '{}',
  -- what it was before us: uninstall puts it back
  journal_mode text not null,
  installed_at text not null
);

create table tombolo_captured_table (
  id integer primary key,                   -- of the shape below: a table that gets other columns gets another id
  table_name text not null unique,          -- as the topology names it
  channel text not null,
  local_table text not null unique,
  whole_images integer not null,            -- updates are sent as whole rows (detect: row)
  fingerprint text not null,                -- of the shape and of the triggers, see verify
  state text not null default 'live' check (state in ('live', 'must_compare', 'paused')),
  reason text,
  installed_at text not null
);

-- how to read the images in the log; kept while the log may hold images of it
create table tombolo_shape (
  id integer primary key,
  table_name text not null,
  columns text not null,                    -- [{name, type, notNull}], those that travel, in the order of the images
  key_columns text not null
);

-- The mark of the applier: one row, set and cleared inside its transaction, so no other connection ever sees it set. Only someone
-- who can write this file can forge it, and who can do that can write the log itself.
create table tombolo_local (
  singleton integer primary key check (singleton = 1),
  applying_peer integer,                    -- the peer whose changes are being applied
  changed_at text,                          -- when the applied change was made
  skip integer not null default 0           -- nobody else reads what is applied: log nothing
);
insert into tombolo_local (singleton) values (1);

-- The change log. Images and keys are comma-separated SQL literals, in the order of the columns of the shape: exact for every storage class.
create table tombolo_change (
  seq integer primary key,
  table_id integer not null,
  op text not null,                         -- I U D R, and H: a row that a REPLACE is about to delete, perhaps
  key text not null,
  old text,
  new text,
  origin integer,                           -- the peer that it was applied from; null for a change made here
  target integer,                           -- the one peer that it is meant for (a refresh, a seed)
  changed_at text not null
);
create index tombolo_change_key on tombolo_change (key, table_id);

-- A sealed cut of the log: everything up to position survives a crash.
create table tombolo_tick (
  position integer primary key,
  -- per peer and channel, how much of the peer's log was applied here at the cut: {"hub": {"sales": "123"}}
  seen text not null,
  sealed_at text not null
);

create table tombolo_peer (
  id integer primary key,
  name text not null unique,
  role text not null check (role in ('parent', 'child')),
  state text not null default 'joining' check (state in ('joining', 'snapshot', 'live', 'lagging', 'must_resync', 'paused')),
  reason text,
  epoch text,                               -- the peer's, once it sent something
  received_packet_no integer not null default 0,
  received_digest text not null default '',
  received_receipt text,
  -- {"sales": {"position": "123", "ahead": {"shop.new": "140"}}}, in positions of the peer's log
  received text not null default '{}',
  sent_packet_no integer not null default 0,
  -- {"sales": "77"}: what the peer has acknowledged of this log
  sent text not null default '{}',
  -- {"sales": "70"}: how much of this log the peer had applied when it sealed its last packet; newer entries are still needed to judge by
  judged text not null default '{}',
  last_sync_in text,
  last_sync_out text,
  pending_changes integer not null default 0,
  clock_offset_ms integer,
  -- whether others read what is applied from this peer, so that it must be logged
  forwards integer not null default 0
);

-- tables that were filled from the peer, or seeded for it
create table tombolo_peer_table (
  peer_id integer not null references tombolo_peer on delete cascade,
  table_name text not null,
  received integer not null default 0,      -- filled from, or started at, the peer
  seeded_at integer,                        -- the position of this log from which the peer reads the table
  started_at integer,                       -- the position of this log when the peer's own rows began to come
  primary key (peer_id, table_name)
) without rowid;

-- What a new reader will read from: it has been given the tables as they are at position, and has not acknowledged anything yet.
create table tombolo_hold (
  id integer primary key,
  channel text not null,
  position integer not null,
  made_at text not null
);

create table tombolo_conflict_history (
  id integer primary key,
  detected_at text not null,
  table_name text not null,
  key text not null,
  kind text not null check (kind in ('update_update', 'update_delete', 'delete_update', 'insert_insert', 'unique', 'foreign_key', 'check')),
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
  resolved_at text
);
create index tombolo_conflict_history_open on tombolo_conflict_history (detected_at) where status = 'open';

create table tombolo_parked_change (
  id integer primary key,
  peer_id integer not null references tombolo_peer on delete cascade,
  packet_no integer not null,
  table_name text not null,
  channel text not null,
  op text not null,
  -- exactly as they came, in the sender's terms
  key text not null,
  old text,
  new text,
  shape text not null,                      -- the sender's shape of the table, to read the images by
  changed_at text not null,                 -- microseconds since 1970, as text
  code text not null,                       -- of the error that parked it
  reason text not null,
  attempts integer not null default 1,
  parked_at text not null,
  tried_at text not null
);
create index tombolo_parked_change_peer on tombolo_parked_change (peer_id, table_name);

create table tombolo_full_sync_run (
  id integer primary key,
  peer text not null, direction text not null, state text not null, started_at text not null,
  finished_at text, tables text not null, rows integer not null default 0, bytes integer not null default 0, error text
);
create table tombolo_reconcile_run (
  id integer primary key,
  name text not null, peer text not null, state text not null, started_at text not null,
  finished_at text, tables text not null, compared integer not null default 0, differing integer not null default 0,
  repaired integer not null default 0, error text
);
create table tombolo_token (
  id integer primary key,
  name text not null, role text not null, node text, hash blob not null unique, created_at text not null,
  expires_at text, revoked_at text, last_used_at text
);
create table tombolo_audit (
  id integer primary key,
  at text not null, who text not null, what text not null, details text
);
