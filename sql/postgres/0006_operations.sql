-- What the hub's service, full syncs and reconciles keep.

-- Tokens and enrolment codes of the hub. Nothing was ever written to the table as it was before.
drop table tombolo.token;
create table tombolo.token (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('token', 'code')),   -- a code is exchanged for a token, once
  handle text not null unique,              -- the part of the secret that is none, by which it is found
  hash bytea not null,                      -- SHA-256 of the whole
  name text not null,
  role text not null check (role in ('node', 'viewer', 'operator', 'admin')),
  node text,
  group_name text,
  params jsonb not null default '{}',
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  lifetime_ms bigint,             -- of the token that this one gives; null for ever
  revoked_at timestamptz,
  last_used_at timestamptz,
  replaced_by bigint                        -- by rotation; of a code, the token that was given for it
);
create index token_node on tombolo.token (node) where node is not null;

-- Reconciles: what a run was to do about differences, and the index by which a schedule finds its last run. `tables` is
-- [{table, compared, differing, repaired, unsettled, parked, examples, error}].
alter table tombolo.reconcile_run add column repair text not null default 'report';
create index reconcile_run_name on tombolo.reconcile_run (name, started_at);

-- Full syncs: what runs or ran, who runs it, and from where on the log is kept for it.
alter table tombolo.full_sync_run
  add column side text not null default 'target' check (side in ('source', 'target')),  -- what this node is in it
  add column phase text not null default 'prepare',
  add column estimated_rows bigint not null default 0,
  add column position bigint,               -- in the source's log: what was copied is as it was there
  add column epoch text,                    -- the source's
  add column holder text not null default '',
  add column heartbeat_at timestamptz not null default clock_timestamp();
create index full_sync_run_open on tombolo.full_sync_run (peer) where state in ('running', 'interrupted');
-- How far each table was copied. Unlogged, as what it speaks of is: a crash of the server empties both.
create unlogged table tombolo.full_sync_table (
  run_id bigint not null,
  table_name text not null,
  relation text not null,                   -- where the rows wait, in schema tombolo
  columns jsonb not null,                   -- those that are copied, in their order
  copied_to text,                           -- the last key; null before the first chunk
  done boolean not null default false,
  rows bigint not null default 0,
  bytes bigint not null default 0,
  primary key (run_id, table_name)
);
revoke all on tombolo.full_sync_table from public;

-- Packets that were handed on to a peer out of reach: the last that it confirmed, and those since (see node/sent-packets.ts).
create table tombolo.sent_packet (
  peer_id integer not null references tombolo.peer on delete cascade,
  packet_no bigint not null,
  digest text not null,
  sent_at timestamptz not null default clock_timestamp(),
  primary key (peer_id, packet_no, digest)
);

-- Files that travel between this node and a peer: json, which keeps its text.
create table tombolo.medium (
  peer text primary key,
  state json not null
);
revoke all on tombolo.token, tombolo.sent_packet, tombolo.medium from public;
