-- What targets of the topology's `notifications` are told; used in its hub.

create table tombolo.notification (
  id bigint primary key generated always as identity,
  target text not null,                     -- as the topology names it
  event_id text not null,                   -- the same at every target and at every try
  event json not null,                      -- names and counts, never values of rows
  state text not null default 'waiting',    -- waiting | sent | held_back (told by a summary) | dropped
  attempts integer not null default 0,
  entered_at timestamptz not null,
  next_at timestamptz,                      -- not tried before
  settled_at timestamptz,                   -- when it was sent, held back or dropped
  last_error text,
  unique (target, event_id)
);
create index notification_waiting on tombolo.notification (id) where state = 'waiting';
revoke all on tombolo.notification from public;

-- What is told once when it begins, and again only after it has ended; and since when targets are there.
create table tombolo.notification_level (
  name text primary key,
  raised_at timestamptz not null
);
revoke all on tombolo.notification_level from public;
