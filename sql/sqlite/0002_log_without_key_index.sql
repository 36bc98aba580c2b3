-- Every commit of the application had to write it; the replicator keeps its own (see replicator/node/sqlite/log-keys.ts).
drop index tombolo_change_key;
