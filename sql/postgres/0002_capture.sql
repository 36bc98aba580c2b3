-- Capture: what writes the change log. :hstore is the schema of the hstore extension.
--
-- Arguments of every trigger: the table's id in tombolo.captured_table, its key columns (an array literal), the columns that do not
-- travel (an array literal), and `changed` or `whole`: whether an update logs the changed columns only or the whole row, before and after.
--
-- The functions run as the replicator's role, so that an application needs no right to the log and can neither read nor forge it. They
-- see pg_catalog only, so that nothing in a schema of the application's can stand in for a function or an operator; what is not there is
-- written with its schema. What the text of a value depends on is pinned here, whatever the writing session has set.
--
-- Measured (PG 15, two cores, one update of one row per transaction, commit included, inside the server): 8 us without capture, 11 us with
-- a trigger that does nothing, 31 us with this one, of which the seven pinned settings are 1 us and the insert into the log 9 us. 200 k rows in
-- 200 statements: 0.5 s without, 1.4 s with; 1.25 s at best with rows paired by position or by SQL made for the table, which is
-- not worth giving up an order-free pairing and one function for all tables.

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

-- In the functions below, the query on tombolo.log_state gives the segment that is written now. It also wakes a sleeping replicator on the way, once
-- per transaction. A transaction that notifies can't be prepared: where two-phase commit is possible nobody is notified, and the replicator
-- finds the change when it looks. (As a function of its own this cost another 15 us per statement.)

create function tombolo.capture_insert() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  keys text[] := tg_argv[1];
  hidden text[] := nullif(tg_argv[2], '{}');
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, new)
  select tg_argv[0]::integer, 'I', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, :hstore.slice(h, keys),
         case when hidden is null then h else h operator(:hstore.-) hidden end
    from (select :hstore.hstore(r) as h from new_rows as r offset 0) as n;
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
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, old)
  select tg_argv[0]::integer, 'D', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, :hstore.slice(h, keys),
         case when hidden is null then h else h operator(:hstore.-) hidden end
    from (select :hstore.hstore(r) as h from old_rows as r offset 0) as o;
  return null;
end $$;

-- Old and new rows are paired by key, as sets: a key that is in both was updated (or, in a swap of keys, taken over), one that is only in
-- the old rows was deleted, one that is only in the new ones inserted. So a key change is a delete and an insert, and no key is logged twice.
create function tombolo.capture_update() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = '3' set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off
as $$
declare
  keys text[] := tg_argv[1];
  hidden text[] := nullif(tg_argv[2], '{}');
  whole boolean := tg_argv[3] = 'whole';
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
  end if;
  insert into tombolo.change (table_id, op, segment, origin, key, old, new)
  select tg_argv[0]::integer, case when n.k is null then 'D' when o.k is null then 'I' else 'U' end,
         (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id,
         coalesce(o.k, n.k),
         case when whole or n.k is null then o.h else o.h operator(:hstore.-) n.h end,
         case when whole or o.k is null then n.h else n.h operator(:hstore.-) o.h end
    from (select :hstore.slice(h, keys) as k, case when hidden is null then h else h operator(:hstore.-) hidden end as h
            from (select :hstore.hstore(r) as h from old_rows as r offset 0) as x) as o
    full join (select :hstore.slice(h, keys) as k, case when hidden is null then h else h operator(:hstore.-) hidden end as h
                 from (select :hstore.hstore(r) as h from new_rows as r offset 0) as x) as n
      on o.k operator(:hstore.=) n.k
   where (o.h operator(:hstore.=) n.h) is not true;
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
  peer_id integer;
  logged boolean;
begin
  if current_setting('tombolo.apply', true) <> '' then
    select id, forwards into peer_id, logged from tombolo.peer where apply_xid = pg_current_xact_id_if_assigned();
    if not logged then
      return null;
    end if;
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
      values (this_table, 'U', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, new_key,
              case when whole then before else before operator(:hstore.-) after end,
              case when whole then after else after operator(:hstore.-) before end);
    end if;
    return null;
  end if;
  if tg_op <> 'INSERT' then
    insert into tombolo.change (table_id, op, segment, origin, key, old)
    values (this_table, 'D', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, old_key, before);
  end if;
  if tg_op <> 'DELETE' then
    insert into tombolo.change (table_id, op, segment, origin, key, new)
    values (this_table, 'I', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, new_key, after);
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
  values (tg_argv[0]::integer, 'T', (select case when listening and current_setting('max_prepared_transactions') = '0' and pg_notify('tombolo', '') is null then null else segment end
            from tombolo.log_state), peer_id, '');
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
revoke all on function tombolo.capture_insert(), tombolo.capture_delete(), tombolo.capture_update(),
  tombolo.capture_row(), tombolo.capture_truncate(), tombolo.capture_partition_truncate() from public;
-- for applying(), the one thing that is everybody's
grant usage on schema tombolo to public;
