import type pg from "pg";
import type { NodeName } from "../../change/names.ts";
import type { MediumDesk } from "../medium-desk.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";

/** What a Postgres node remembers of files that travel. */
export class PostgresMediumDesk implements MediumDesk {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async read(peer: NodeName): Promise<string | null> {
    try {
      await requireCurrent(this.#pool);
      const { rows } = await this.#pool.query<{ state: string }>("select state::text as state from tombolo.medium where peer = $1", [peer]);
      return rows[0]?.state ?? null;
    } catch (error) {
      throw postgresError(error);
    }
  }

  async replace(peer: NodeName, before: string | null, after: string): Promise<boolean> {
    try {
      const { rowCount } =
        before === null
          ? await this.#pool.query("insert into tombolo.medium (peer, state) values ($1, $2) on conflict do nothing", [peer, after])
          : await this.#pool.query("update tombolo.medium set state = $3 where peer = $1 and state::text = $2", [peer, before, after]);
      return rowCount === 1;
    } catch (error) {
      throw postgresError(error);
    }
  }

  async told(peer: NodeName): Promise<string | null> {
    const { rows } = await this.#query<{ report: string }>(
      "select report::text from tombolo.told where peer_id = (select id from tombolo.peer where name = $1)",
      [peer],
    );
    return rows[0]?.report ?? null;
  }

  async noteTold(peer: NodeName, report: string): Promise<void> {
    await this.#query(
      `insert into tombolo.told (peer_id, report) select id, $2 from tombolo.peer where name = $1
        on conflict (peer_id) do update set report = excluded.report`,
      [peer, report],
    );
  }

  async forget(peer: NodeName): Promise<void> {
    await this.#query("delete from tombolo.medium where peer = $1", [peer]);
  }

  async #query<T extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<T>> {
    try {
      return await this.#pool.query<T>(text, values);
    } catch (error) {
      throw postgresError(error);
    }
  }
}
