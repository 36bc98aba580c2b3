import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";

/** The server ends somebody's transaction once it has waited for deadlock_timeout, a second where nobody set it. */
const LOOK_EVERY_MS = 250;

/** Looks after which the same sessions are in the way all the time: whoever waits for the packet has waited for long. */
const PATIENT_LOOKS = 4;

/**
 * Who is in the way of the session ($1) while an application waits for it. It is cancelled where they wait for each other, around however many corners, or where that has
 * been so for long ($2: by whom): a packet comes again, an application does not.
 */
const GIVE_WAY = `
  with recursive ahead(pid) as (
    select unnest(pg_blocking_pids($1::int))
    union
    select unnest(pg_blocking_pids(ahead.pid)) from ahead),
  found as (
    select pg_blocking_pids($1::int)::text as blockers, exists (select from ahead where pid = $1::int) as cycle
     where exists (select from pg_locks l join pg_stat_activity a using (pid)
                    where not l.granted and $1::int = any (pg_blocking_pids(l.pid)) and a.application_name not like 'tombolo %'))
  select blockers, case when cycle or blockers = $2 then pg_cancel_backend($1::int) else false end as cancelled from found where blockers <> '{}'`;

/** Looks after the locks of one transaction, from its beginning until it is about to commit. */
export interface LockWatch {
  begin(client: pg.ClientBase): void;
  /** Nothing is cancelled any more once it resolves. */
  end(): Promise<void>;
}

/**
 * Runs a packet's transaction so that it, and not an application, gives way where both wait for each other: while it waits for a lock and a session that is not the
 * replicator's waits for it, it is cancelled. The server would end the transaction of whoever began to wait last. Then throws `APPLY_GAVE_WAY` (retry).
 */
export async function givingWay<T>(
  { pool, source }: { readonly pool: pg.Pool; readonly source: NodeName },
  work: (watch: LockWatch) => Promise<T>,
): Promise<T> {
  let pid: number | null = null;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<unknown> | undefined;
  let ended = false;
  let gaveWay = false;
  let before: string | null = null;
  let looks = 0;

  const look = async (): Promise<void> => {
    const looker = await pool.connect();
    try {
      // whoever ends the watch does not wait for a connection, only for a question that is being asked
      if (ended) return;
      const asked = looker.query<{ blockers: string; cancelled: string }>(GIVE_WAY, [pid, looks >= PATIENT_LOOKS ? before : null]);
      looking = asked.catch(() => undefined);
      const [found] = (await asked).rows;
      if (found?.cancelled === "t") gaveWay = true;
      looks = found !== undefined && found.blockers === before ? looks + 1 : 1;
      before = found?.blockers ?? null;
    } finally {
      looker.release();
    }
  };
  const later = (): void => {
    if (ended) return;
    timer = setTimeout(
      () =>
        void look()
          .catch(() => undefined)
          .then(later),
      LOOK_EVERY_MS,
    );
  };
  const watch: LockWatch = {
    begin(client) {
      pid = (client as unknown as { readonly processID: number | null }).processID;
      if (pid !== null) later();
    },
    async end() {
      ended = true;
      clearTimeout(timer);
      await looking;
    },
  };

  try {
    return await work(watch);
  } catch (error) {
    await watch.end();
    if (!gaveWay) throw error;
    throw new TomboloError(
      `a packet from ${source} and an application waited for each other's locks: the packet gave way and comes again`,
      {
        code: "APPLY_GAVE_WAY",
        kind: "retry",
      },
    );
  }
}
