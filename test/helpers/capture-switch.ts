/** SQL for Postgres: the capture triggers of every table, off or on. */
export const captureTriggers = (how: "disable" | "enable always"): string => `do $$
  declare t record;
  begin
    for t in select tgrelid::regclass as relation, tgname from pg_trigger where tgname like 'tombolo%' and not tgisinternal loop
      execute format('alter table %s ${how} trigger %I', t.relation, t.tgname);
    end loop;
  end $$`;

/** What makes a write one that capture does not see; in SQLite, within a transaction where anyone else writes. */
export const UNSEEN = {
  postgres: (sql: string): string => `${captureTriggers("disable")}; ${sql}; ${captureTriggers("enable always")}`,
  sqlite: (sql: string): string => `update tombolo_local set skip = 1; ${sql}; update tombolo_local set skip = 0`,
} as const;
