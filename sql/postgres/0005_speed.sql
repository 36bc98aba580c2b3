-- Which segment is written, and whether the replicator sleeps and wants to be woken: read by every capture. In sequences, which cost a writer a tenth of
-- what a row costs and do not bloat while an old snapshot is open. Both are hints: any change may stand in any segment, and a sleeper looks now and then.
create sequence tombolo.log_segment as smallint minvalue 0 maxvalue 2 start 0;
create sequence tombolo.log_listening as smallint minvalue 0 maxvalue 1 start 0;
select setval('tombolo.log_segment', segment), setval('tombolo.log_listening', listening::integer) from tombolo.log_state;
drop table tombolo.log_state;
create view tombolo.log_state as
  select pg_sequence_last_value('tombolo.log_segment')::smallint as segment, pg_sequence_last_value('tombolo.log_listening') = 1 as listening;
revoke all on sequence tombolo.log_segment, tombolo.log_listening from public;
revoke all on tombolo.log_state from public;
