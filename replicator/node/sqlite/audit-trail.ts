import type { AuditFilter, AuditRecord, AuditTrail } from "../audit-trail.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

const SELECT = `select id, at, who, what, details from tombolo_audit
  where (:before is null or id < :before) and (:who is null or who = :who) and (:what is null or what = :what) order by id desc limit :limit`;

/** The audit table of a SQLite node. */
export class SqliteAuditTrail implements AuditTrail {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async record({ who, what, details }: Pick<AuditRecord, "who" | "what" | "details">): Promise<void> {
    const text = details === null ? null : JSON.stringify(details);
    await this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      connection
        .prepare("insert into tombolo_audit (at, who, what, details) values (?, ?, ?, ?)")
        .run(isoTime(this.#clock()), who, what, text);
    });
  }

  async list({ limit, before, who, what }: AuditFilter): Promise<readonly AuditRecord[]> {
    return this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      const rows = connection.prepare(SELECT).all({ limit, before: before ?? null, who: who ?? null, what: what ?? null });
      return (rows as (Omit<AuditRecord, "details"> & { readonly details: string | null })[]).map((row) => ({
        ...row,
        details: row.details === null ? null : JSON.parse(row.details),
      }));
    });
  }
}
