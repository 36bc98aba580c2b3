-- What a person agreed to who asked a node out of reach for a full sync: {mayRemove, anew}.
alter table tombolo_full_sync_run add column terms text not null default '{}';
