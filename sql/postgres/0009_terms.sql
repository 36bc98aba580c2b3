-- What a person agreed to who asked a node out of reach for a full sync: {mayRemove, anew}.
alter table tombolo.full_sync_run add column terms jsonb not null default '{}';
