import type pg from "pg";
import type { AuditFilter, AuditRecord, AuditTrail } from "../audit-trail.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";

const SELECT = `select id, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, who, what, details::text as details from tombolo.audit
  where ($1::bigint is null or id < $1) and ($2::text is null or who = $2) and ($3::text is null or what = $3) order by id desc limit $4`;

/** The audit table of a Postgres node. */
export class PostgresAuditTrail implements AuditTrail {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async record({ who, what, details }: Pick<AuditRecord, "who" | "what" | "details">): Promise<void> {
    try {
      await requireCurrent(this.#pool);
      const text = details === null ? null : JSON.stringify(details);
      await this.#pool.query("insert into tombolo.audit (who, what, details) values ($1, $2, $3)", [who, what, text]);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async list({ limit, before, who, what }: AuditFilter): Promise<readonly AuditRecord[]> {
    try {
      await requireCurrent(this.#pool);
      const { rows } = await this.#pool.query<{ [column: string]: string | null }>(SELECT, [
        before?.toString() ?? null,
        who ?? null,
        what ?? null,
        limit,
      ]);
      return rows.map((row) => ({
        id: BigInt(row.id as string),
        at: row.at as string,
        who: row.who as string,
        what: row.what as string,
        details: row.details == null ? null : JSON.parse(row.details),
      }));
    } catch (error) {
      throw postgresError(error);
    }
  }
}
