-- What the hub's service, full syncs and reconciles keep.

-- Tokens and enrolment codes of the hub. Nothing was ever written to the table as it was before.
drop table tombolo_token;
create table tombolo_token (
  id integer primary key,
  kind text not null check (kind in ('token', 'code')),   -- a code is exchanged for a token, once
  handle text not null unique,              -- the part of the secret that is none, by which it is found
  hash blob not null,                       -- SHA-256 of the whole
  name text not null,
  role text not null check (role in ('node', 'viewer', 'operator', 'admin')),
  node text,
  group_name text,
  params text not null default '{}',
  created_by text not null,
  created_at text not null,
  expires_at text,
  lifetime_ms integer,            -- of the token that this one gives; null for ever
  revoked_at text,
  last_used_at text,
  replaced_by integer                       -- by rotation; of a code, the token that was given for it
);
create index tombolo_token_node on tombolo_token (node) where node is not null;

-- Reconciles: what a run was to do about differences, and the index by which a schedule finds its last run. `tables` is
-- [{table, compared, differing, repaired, unsettled, parked, examples, error}].
alter table tombolo_reconcile_run add column repair text not null default 'report';
create index tombolo_reconcile_run_name on tombolo_reconcile_run (name, started_at);

-- Full syncs: what runs or ran, who runs it, and from where on the log is kept for it.
alter table tombolo_full_sync_run add column side text not null default 'target' check (side in ('source', 'target'));
alter table tombolo_full_sync_run add column phase text not null default 'prepare';
alter table tombolo_full_sync_run add column estimated_rows integer not null default 0;
-- in the source's log: what was copied is as it was there
alter table tombolo_full_sync_run add column position integer;
-- the source's
alter table tombolo_full_sync_run add column epoch text;
alter table tombolo_full_sync_run add column holder text not null default '';
alter table tombolo_full_sync_run add column heartbeat_at text not null default '';
create index tombolo_full_sync_run_open on tombolo_full_sync_run (peer) where state in ('running', 'interrupted');

-- Packets that were handed on to a peer out of reach: the last that it confirmed, and those since (see node/sent-packets.ts).
create table tombolo_sent_packet (
  peer_id integer not null references tombolo_peer on delete cascade,
  packet_no integer not null,
  digest text not null,
  sent_at text not null,
  primary key (peer_id, packet_no, digest)
) without rowid;

-- Files that travel between this node and a peer.
create table tombolo_medium (
  peer text primary key,
  state text not null                       -- JSON
);
