import type pg from "pg";
import {
  MOST_WAITING,
  type NewNotification,
  type NotificationDesk,
  type NotificationOutcome,
  type NotificationWork,
  type WaitingNotification,
} from "../notification-desk.ts";
import { transaction } from "./connection.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";

const moment = (parameter: string): string => `to_timestamp(${parameter}::float8 / 1000)`;
const milliseconds = (column: string): string => `round(extract(epoch from ${column}) * 1000)::bigint::text`;

const WAITING = `select id, target, event_id, event, attempts, last_error, ${milliseconds("entered_at")} as entered_at, ${milliseconds("next_at")} as next_at
  from tombolo.notification where state = 'waiting' order by id limit ${MOST_WAITING}`;

/** The notifications that a Postgres hub keeps. */
export class PostgresNotificationDesk implements NotificationDesk {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async write({ raise, lower, enter: entered = [], settle: settled = [] }: NotificationWork): Promise<void> {
    await transaction(this.#pool, async (client) => {
      await requireCurrent(client);
      if (lower !== undefined) await client.query("delete from tombolo.notification_level where name = $1", [lower]);
      if (raise !== undefined) {
        const { rowCount } = await client.query(
          `insert into tombolo.notification_level (name, raised_at) values ($1, ${moment("$2")}) on conflict do nothing`,
          [raise.name, raise.at],
        );
        if (rowCount === 0) return;
      }
      for (const each of entered) await enter(client, each);
      for (const each of settled) await settle(client, each);
    });
  }

  async levels(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#rows(`select name, ${milliseconds("raised_at")} as raised_at from tombolo.notification_level`);
    return new Map(rows.map(({ name, raised_at }) => [name ?? "", Number(raised_at)]));
  }

  async waiting(): Promise<readonly WaitingNotification[]> {
    const rows = await this.#rows(WAITING);
    return rows.map((row) => ({
      id: BigInt(row.id ?? 0),
      target: row.target ?? "",
      eventId: row.event_id ?? "",
      event: row.event ?? "",
      at: Number(row.entered_at),
      attempts: Number(row.attempts),
      nextAt: row.next_at == null ? null : Number(row.next_at),
      lastError: row.last_error ?? null,
    }));
  }

  async sentSince(target: string, since: number): Promise<number> {
    const [row] = await this.#rows(
      `select count(*) as sent from tombolo.notification where target = $1 and state = 'sent' and settled_at > ${moment("$2")}`,
      [target, since],
    );
    return Number(row?.sent);
  }

  async forget(before: number): Promise<void> {
    await this.#rows(`delete from tombolo.notification where state <> 'waiting' and settled_at < ${moment("$1")}`, [before]);
  }

  async #rows(text: string, values: readonly unknown[] = []): Promise<{ [column: string]: string | null }[]> {
    try {
      await requireCurrent(this.#pool);
      return (await this.#pool.query<{ [column: string]: string | null }>(text, values as unknown[])).rows;
    } catch (error) {
      throw postgresError(error);
    }
  }
}

const enter = (client: pg.ClientBase, { target, eventId, event, at }: NewNotification): Promise<unknown> =>
  client.query(
    `insert into tombolo.notification (target, event_id, event, entered_at) values ($1, $2, $3, ${moment("$4")}) on conflict do nothing`,
    [target, eventId, event, at],
  );

const settle = (client: pg.ClientBase, { id, state, attempts, nextAt, at, error }: NotificationOutcome): Promise<unknown> =>
  client.query(
    `update tombolo.notification set state = $2, attempts = $3, next_at = ${moment("$4")}, last_error = $6,
            settled_at = case when $2 = 'waiting' then null else ${moment("$5")} end
      where id = $1 and state = 'waiting'`,
    [String(id), state, attempts, nextAt, at, error],
  );
