-- Capture: what writes the change log. :hstore is the schema of the hstore extension.
--
-- Arguments of every trigger: the table's id in tombolo.captured_table, its key columns (an array literal), the columns that do not
-- travel (an array literal), and `changed` or `whole`: whether an update logs the changed columns only or the whole row, before and after.
--
-- The functions run as the replicator's role, so that an application needs no right to the log and can neither read nor forge it. They
-- see pg_catalog only, so that nothing in a schema of the application's can stand in for a function or an operator; what is not there is
-- written with its schema. What the text of a value depends on is pinned here, whatever the writing session has set.
--
-- Measured (PG 18, two cores, one update of one row per transaction, user time of the backend): 24 us without capture, 38 us with a trigger that does
-- nothing, of which the pinned settings are 10 us; 85 us with this one, 100 us when it asked in three statements. Between commits that wait for the disk
-- the processor's caches go cold, and all of it takes twice as long. 200 k rows in 200 statements: 1.1 s without, 2.5 s with.

-- What came from a peer is not logged unless others read it. The setting is only a cheap hint: what is believed is the peer's row, which only
-- the replicator's role can write, and only for its own transaction.
create function tombolo.applying() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select coalesce(current_setting('tombolo.apply', true), '') <> ''
     and exists (select from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned())
$$;
comment on function tombolo.applying() is
  'True while Tombolo applies changes in this transaction. For triggers of applications: when (not tombolo.applying())';

-- In the functions below, tombolo.log_segment is the segment that is written now, and the expression around it wakes a sleeping replicator on the
-- way, once per transaction. A transaction that notifies can't be prepared: where two-phase commit is possible nobody is notified, and the replicator
-- finds the change when it looks. (As a function of its own this cost another 15 us per statement.)
--
-- What most statements of an application are comes first in each: by an application, of its own triggers' making neither it nor another before it in
-- the transaction. That is one plain statement, because what a statement of one row pays for is every query and expression that is set up.

-- What one change leaves is what the other finds, as far as both tell.
create function tombolo.fits(left_behind :hstore.hstore, found :hstore.hstore) returns boolean
language sql immutable
as $$
  select case when left_behind is null or found is null then left_behind is null and found is null
              else :hstore.slice(left_behind, :hstore.akeys(found)) operator(:hstore.=) :hstore.slice(found, :hstore.akeys(left_behind)) end
$$;

-- A statement's triggers fire when it is done, so what the triggers of applications do to the same rows on its behalf, and what its cascades do,
-- is logged before the statement itself. Where that is so, those changes are numbered anew, behind it. Which of the two came first shows in
-- the images: one change fits on another when what it finds is what the other left. Where both orders fit (a value that is set and set back), the
-- row itself decides.
--
-- Costs nothing unless triggers are nested. tombolo.nested holds what is known in this transaction: {xid, at: the client's statement, deep: {depth:
-- the first number logged there}, last: {depth: {table, op, upto}}}. It is set for the session, because what a function with settings of
-- its own sets for the transaction ends with the function. An application that writes to it can only make its own statement slower.
create function tombolo.settle(captured integer, mark bigint, operation text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_nestloop = off
as $$
declare
  me constant xid8 := pg_current_xact_id();
  depth constant integer := pg_trigger_depth();
  known jsonb := coalesce(nullif(current_setting('tombolo.nested', true), ''), '{}');
  last jsonb;
  oldest bigint;
  this record;
  present :hstore.hstore;
  moved :hstore.hstore[] := '{}';
  places bigint[] := '{}';
  source text;
begin
  if known ->> 'xid' is distinct from me::text or known ->> 'at' is distinct from statement_timestamp()::text then
    if depth = 1 then
      -- left from an earlier statement: nothing is nested in this one
      perform set_config('tombolo.nested', '', false);
      return;
    end if;
    known := jsonb_build_object('xid', me::text, 'at', statement_timestamp()::text, 'deep', '{}'::jsonb, 'last', '{}'::jsonb);
  end if;
  select min(value::bigint) into oldest from jsonb_each_text(known -> 'deep') where key::integer > depth;
  last := known -> 'last' -> depth::text;
  -- the operations of one statement (an upsert, a MERGE) follow each other, each once; anything else is a later statement
  if last is not null and not ((last ->> 'table')::integer = captured and (operation is null or last ->> 'op' is distinct from operation)) then
    oldest := greatest(oldest, (last ->> 'upto')::bigint + 1);
  end if;

  if oldest <= mark then
    for this in
      with step as (
        select m.key, m.old, m.new, c.seq, tombolo.fits(m.new, c.old) as fits_before, tombolo.fits(c.new, m.old) as fits_after,
               lag(tombolo.fits(c.new, m.old), 1, true) over (partition by m.key order by c.seq) as fits_here,
               row_number() over (partition by m.key order by c.seq desc) = 1 as final,
               coalesce(c.new, c.old) operator(:hstore.?|) :hstore.akeys(coalesce(m.new, m.old)) as touches
          from tombolo.change m join tombolo.change c on c.key operator(:hstore.=) m.key
         where m.xid = me and m.seq > mark and m.table_id = captured
           and c.xid = me and c.seq between oldest and mark and c.table_id = captured and c.op in ('I', 'U', 'D'))
      select key, (array_agg(new))[1] as new, bool_or(final and fits_after) as fits_after, min(seq) filter (where fits_before and fits_here) as place
        from step group by key having bool_or(touches) and bool_or(fits_before and fits_here)
    loop
      if this.fits_after then
        if source is null then
          select format('select :hstore.hstore(t.*) from :hstore.populate_record(null::%1$s, $1) as k join %1$s as t on %2$s', t.relation::regclass,
                        (select string_agg(format('t.%1$I = k.%1$I', name), ' and ') from unnest(t.key_columns) as name))
            into source from tombolo.captured_table t where t.id = captured;
        end if;
        execute source into present using this.key;
        if this.new is null or present is null then
          continue when this.new is null and present is null;
        else
          continue when :hstore.slice(present, :hstore.akeys(this.new)) operator(:hstore.=) this.new;
        end if;
      end if;
      moved := moved || this.key;
      places := places || this.place;
    end loop;
    if moved <> '{}' then
      update tombolo.change c set seq = later.seq
        from (select before.seq as old_seq, nextval('tombolo.change_seq') as seq
                from (select c.seq from tombolo.change c join unnest(moved, places) as k(key, place) on k.key operator(:hstore.=) c.key
                       where c.xid = me and c.seq between k.place and mark and c.table_id = captured
                       order by c.seq) as before) as later
       where c.xid = me and c.seq = later.old_seq and c.seq between oldest and mark;
    end if;
  end if;

  if depth > 1 and known -> 'deep' -> depth::text is null then
    known := jsonb_set(known, array['deep', depth::text], to_jsonb(mark + 1));
  end if;
  -- whatever is deeper begins anew
  select jsonb_set(known, '{last}', coalesce(jsonb_object_agg(key, jsonb_build_object('table', 0, 'op', '', 'upto', q.last_value)) filter (where key::integer > depth), '{}')
           || coalesce(jsonb_object_agg(key, value) filter (where key::integer < depth), '{}')
           || jsonb_build_object(depth::text, jsonb_build_object('table', captured, 'op', operation, 'upto', q.last_value)))
    into known
    from tombolo.change_seq as q left join jsonb_each(known -> 'last') on true
   group by q.last_value;
  perform set_config('tombolo.nested', known::text, false);
end $$;

create function tombolo.capture_insert() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  keys text[] := tg_argv[1];
  hidden text[] := nullif(tg_argv[2], '{}');
  nested boolean;
  mark bigint;
  peer_id integer;
  logged boolean;
begin
  if pg_trigger_depth() = 1 and coalesce(current_setting('tombolo.apply', true), '') = '' and coalesce(current_setting('tombolo.nested', true), '') = '' then
    insert into tombolo.change (table_id, op, segment, key, new)
    select tg_argv[0]::integer, 'I',
           (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end),
           :hstore.slice(h, keys), case when hidden is null then h else h operator(:hstore.-) hidden end
      from (select :hstore.hstore(r.*) as h from new_rows as r offset 0) as n;
    return null;
  end if;
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  nested := pg_trigger_depth() > 1 or coalesce(current_setting('tombolo.nested', true), '') <> '';
  if nested then
    select case when is_called then last_value else last_value - 1 end into mark from tombolo.change_seq;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, new)
  select tg_argv[0]::integer, 'I',
         (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, :hstore.slice(h, keys),
         case when hidden is null then h else h operator(:hstore.-) hidden end
    from (select :hstore.hstore(r.*) as h from new_rows as r offset 0) as n;
  if nested then
    perform tombolo.settle(tg_argv[0]::integer, mark, tg_op);
  end if;
  return null;
end $$;

create function tombolo.capture_delete() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  keys text[] := tg_argv[1];
  hidden text[] := nullif(tg_argv[2], '{}');
  nested boolean;
  mark bigint;
  peer_id integer;
  logged boolean;
begin
  if pg_trigger_depth() = 1 and coalesce(current_setting('tombolo.apply', true), '') = '' and coalesce(current_setting('tombolo.nested', true), '') = '' then
    insert into tombolo.change (table_id, op, segment, key, old)
    select tg_argv[0]::integer, 'D',
           (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end),
           :hstore.slice(h, keys), case when hidden is null then h else h operator(:hstore.-) hidden end
      from (select :hstore.hstore(r.*) as h from old_rows as r offset 0) as o;
    return null;
  end if;
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  nested := pg_trigger_depth() > 1 or coalesce(current_setting('tombolo.nested', true), '') <> '';
  if nested then
    select case when is_called then last_value else last_value - 1 end into mark from tombolo.change_seq;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, old)
  select tg_argv[0]::integer, 'D',
         (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, :hstore.slice(h, keys),
         case when hidden is null then h else h operator(:hstore.-) hidden end
    from (select :hstore.hstore(r.*) as h from old_rows as r offset 0) as o;
  if nested then
    perform tombolo.settle(tg_argv[0]::integer, mark, tg_op);
  end if;
  return null;
end $$;

-- Old and new rows are paired by position: the server appends to both tables with every row that it updates. A row may be in them more than
-- once, because what the cascades of a statement do to its own table is put there as well. A key change is a delete and an insert; told in the
-- order of the statement, they never meet a key that is still taken, because the key is not deferrable.
create function tombolo.capture_update() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  keys text[];
  hidden text[];
  whole boolean;
  nested boolean;
  mark bigint;
  peer_id integer;
  logged boolean;
begin
  if pg_trigger_depth() = 1 and coalesce(current_setting('tombolo.apply', true), '') = '' and coalesce(current_setting('tombolo.nested', true), '') = '' then
    -- one row that changes and whose key stays; where a row holds what does not travel, that is seen to below
    insert into tombolo.change (table_id, op, segment, key, old, new)
    select tg_argv[0]::integer, 'U',
           case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                 and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end,
           :hstore.slice(o.h, tg_argv[1]::text[]),
           case tg_argv[3] when 'whole' then o.h else o.h operator(:hstore.-) n.h end,
           case tg_argv[3] when 'whole' then n.h else n.h operator(:hstore.-) o.h end
      from (select :hstore.hstore(r.*) as h from old_rows as r offset 0) as o, (select :hstore.hstore(r.*) as h from new_rows as r offset 0) as n
     where tg_argv[2] = '{}' and not exists (select from new_rows offset 1) and o.h operator(:hstore.<>) n.h
       and n.h operator(:hstore.@>) :hstore.slice(o.h, tg_argv[1]::text[]);
    if found then
      return null;
    end if;
  elsif current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  keys := tg_argv[1];
  hidden := nullif(tg_argv[2], '{}');
  whole := tg_argv[3] = 'whole';
  nested := pg_trigger_depth() > 1 or coalesce(current_setting('tombolo.nested', true), '') <> '';
  if nested then
    select case when is_called then last_value else last_value - 1 end into mark from tombolo.change_seq;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, old, new)
  select tg_argv[0]::integer, v.op,
         (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id,
         :hstore.slice(case v.op when 'I' then n.h else o.h end, keys),
         case v.op when 'U' then case when whole then o.h else o.h operator(:hstore.-) n.h end when 'D' then o.h end,
         case v.op when 'U' then case when whole then n.h else n.h operator(:hstore.-) o.h end when 'I' then n.h end
    from (select row_number() over () as i, case when hidden is null then :hstore.hstore(r.*) else :hstore.hstore(r.*) operator(:hstore.-) hidden end as h
            from old_rows as r offset 0) as o
    full join (select row_number() over () as i, case when hidden is null then :hstore.hstore(r.*) else :hstore.hstore(r.*) operator(:hstore.-) hidden end as h
                 from new_rows as r offset 0) as n using (i)
    cross join lateral unnest(case when :hstore.slice(o.h, keys) operator(:hstore.=) :hstore.slice(n.h, keys) then '{U}'::"char"[] else '{D,I}' end) as v(op)
   where (o.h operator(:hstore.=) n.h) is not true
   order by i, v.op;
  if nested then
    perform tombolo.settle(tg_argv[0]::integer, mark, tg_op);
  end if;
  return null;
end $$;

-- One row at a time: for what statement triggers do not see. Rows of a partition that are written to it directly, and rows that a native
-- subscription applies.
create function tombolo.capture_row() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  this_table integer := tg_argv[0];
  keys text[] := tg_argv[1];
  hidden text[] := tg_argv[2];
  whole boolean := tg_argv[3] = 'whole';
  before :hstore.hstore;
  after :hstore.hstore;
  old_key :hstore.hstore;
  new_key :hstore.hstore;
  nested boolean := pg_trigger_depth() > 1 or coalesce(current_setting('tombolo.nested', true), '') <> '';
  mark bigint;
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  if nested then
    select case when is_called then last_value else last_value - 1 end into mark from tombolo.change_seq;
  end if;
  if tg_op <> 'INSERT' then
    before := :hstore.hstore(old) operator(:hstore.-) hidden;
    old_key := :hstore.slice(before, keys);
  end if;
  if tg_op <> 'DELETE' then
    after := :hstore.hstore(new) operator(:hstore.-) hidden;
    new_key := :hstore.slice(after, keys);
  end if;
  if tg_op = 'UPDATE' and old_key operator(:hstore.=) new_key then
    if before operator(:hstore.<>) after then
      insert into tombolo.change (table_id, op, segment, origin, key, old, new)
      values (this_table, 'U',
              (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, new_key,
              case when whole then before else before operator(:hstore.-) after end,
              case when whole then after else after operator(:hstore.-) before end);
    end if;
    if nested then
      perform tombolo.settle(this_table, mark, null);
    end if;
    return null;
  end if;
  if tg_op <> 'INSERT' then
    insert into tombolo.change (table_id, op, segment, origin, key, old)
    values (this_table, 'D',
            (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, old_key, before);
  end if;
  if tg_op <> 'DELETE' then
    insert into tombolo.change (table_id, op, segment, origin, key, new)
    values (this_table, 'I',
            (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, new_key, after);
  end if;
  if nested then
    perform tombolo.settle(this_table, mark, null);
  end if;
  return null;
end $$;

create function tombolo.capture_truncate() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key)
  values (tg_argv[0]::integer, 'T',
          (select case when pg_sequence_last_value('tombolo.log_listening') = 1 and current_setting('max_prepared_transactions') = '0'
                       and pg_notify('tombolo', '') is null then null else pg_sequence_last_value('tombolo.log_segment') end), peer_id, '');
  return null;
end $$;

-- A partition that is truncated by itself takes rows away that nobody sees. When the whole table is truncated, this fires as well, right
-- after the table's own trigger: then the truncate is the last that was logged.
create function tombolo.capture_partition_truncate() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  last_op "char";
begin
  select op into last_op from tombolo.change
   where xid = pg_current_xact_id() and table_id = tg_argv[0]::integer
   order by seq desc limit 1;
  if last_op is distinct from 'T' then
    update tombolo.captured_table set state = 'must_compare', reason = 'PARTITION_TRUNCATED'
     where id = tg_argv[0]::integer and state <> 'must_compare';
  end if;
  return null;
end $$;

revoke all on all tables in schema tombolo from public;
revoke all on all sequences in schema tombolo from public;
revoke all on function tombolo.fits(:hstore.hstore, :hstore.hstore), tombolo.settle(integer, bigint, text), tombolo.capture_insert(), tombolo.capture_delete(), tombolo.capture_update(),
  tombolo.capture_row(), tombolo.capture_truncate(), tombolo.capture_partition_truncate() from public;
-- for applying(), the one thing that is everybody's
grant usage on schema tombolo to public;
