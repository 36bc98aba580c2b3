-- How many rows differed when both sides were compared after the hand-over; null where they were not.
alter table tombolo.full_sync_run add column differing bigint;
