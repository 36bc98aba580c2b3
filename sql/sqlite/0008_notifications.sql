-- What targets of the topology's `notifications` are told; used in its hub.

create table tombolo_notification (
  id integer primary key,
  target text not null,                     -- as the topology names it
  event_id text not null,                   -- the same at every target and at every try
  event text not null,                      -- JSON: names and counts, never values of rows
  state text not null default 'waiting',    -- waiting | sent | held_back (told by a summary) | dropped
  attempts integer not null default 0,
  entered_at text not null,
  next_at text,                             -- not tried before
  settled_at text,                          -- when it was sent, held back or dropped
  last_error text,
  unique (target, event_id)
);
create index tombolo_notification_waiting on tombolo_notification (id) where state = 'waiting';

-- What is told once when it begins, and again only after it has ended; and since when targets are there.
create table tombolo_notification_level (
  name text primary key,
  raised_at text not null
) without rowid;
