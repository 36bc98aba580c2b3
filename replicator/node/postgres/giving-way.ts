import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";

/** The server ends somebody's transaction once it has waited for deadlock_timeout, a second where nobody set it. */
const LOOK_EVERY_MS = 250;

/** What is in the way of the session and waits for it as well may be in the way of an application, too: a packet comes again, an application does not. */
const GIVE_WAY = `
  select pg_cancel_backend($1::int) as cancelled
   where pg_blocking_pids($1::int) <> '{}'
     and exists (select from pg_locks l join pg_stat_activity a using (pid)
                  where not l.granted and $1::int = any (pg_blocking_pids(l.pid)) and a.application_name not like 'tombolo %')`;

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

  const look = async (): Promise<void> => {
    const looker = await pool.connect();
    try {
      // whoever ends the watch does not wait for a connection, only for a question that is being asked
      if (ended) return;
      const asked = looker.query<{ cancelled: string }>(GIVE_WAY, [pid]);
      looking = asked.catch(() => undefined);
      if ((await asked).rows.length > 0) gaveWay = true;
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
