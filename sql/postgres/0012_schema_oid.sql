-- A restore of this schema makes it anew, under another number, and the positions in it are of another day than the tables beside it.
alter table tombolo.node add column schema_oid oid;
update tombolo.node set schema_oid = 'tombolo'::regnamespace;
