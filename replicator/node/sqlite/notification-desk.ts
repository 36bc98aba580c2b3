import { MOST_WAITING, type NotificationDesk, type NotificationWork, type WaitingNotification } from "../notification-desk.ts";
import { isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

interface StoredNotification {
  readonly id: bigint;
  readonly target: string;
  readonly event_id: string;
  readonly event: string;
  readonly attempts: bigint;
  readonly entered_at: string;
  readonly next_at: string | null;
  readonly last_error: string | null;
}

const WAITING = `select id, target, event_id, event, attempts, entered_at, next_at, last_error
  from tombolo_notification where state = 'waiting' order by id limit ${MOST_WAITING}`;

/** The notifications that a SQLite hub keeps. */
export class SqliteNotificationDesk implements NotificationDesk {
  readonly #file: DatabaseFile;

  constructor(options: { readonly file: DatabaseFile }) {
    this.#file = options.file;
  }

  async write({ raise, lower, enter = [], settle = [] }: NotificationWork): Promise<void> {
    await this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      if (lower !== undefined) connection.prepare("delete from tombolo_notification_level where name = ?").run(lower);
      if (raise !== undefined) {
        const { changes } = connection
          .prepare("insert or ignore into tombolo_notification_level (name, raised_at) values (?, ?)")
          .run(raise.name, isoTime(raise.at));
        if (changes === 0) return;
      }
      const enters = connection.prepare(
        "insert or ignore into tombolo_notification (target, event_id, event, entered_at) values (?, ?, ?, ?)",
      );
      for (const { target, eventId, event, at } of enter) enters.run(target, eventId, event, isoTime(at));
      const settles = connection.prepare(
        "update tombolo_notification set state = ?, attempts = ?, next_at = ?, settled_at = ?, last_error = ? where id = ? and state = 'waiting'",
      );
      for (const { id, state, attempts, nextAt, at, error } of settle) {
        const settledAt = state === "waiting" ? null : isoTime(at);
        settles.run(state, attempts, nextAt === null ? null : isoTime(nextAt), settledAt, error, id);
      }
    });
  }

  async levels(): Promise<ReadonlyMap<string, number>> {
    const rows = this.#read((connection) => connection.prepare("select name, raised_at from tombolo_notification_level").all());
    return new Map((rows as { name: string; raised_at: string }[]).map(({ name, raised_at }) => [name, Date.parse(raised_at)]));
  }

  async waiting(): Promise<readonly WaitingNotification[]> {
    const rows = this.#read((connection) => connection.prepare(WAITING).all()) as StoredNotification[];
    return rows.map(({ id, target, event_id, event, attempts, entered_at, next_at, last_error }) => ({
      ...{ id, target, event, eventId: event_id, attempts: Number(attempts), lastError: last_error },
      at: Date.parse(entered_at),
      nextAt: next_at === null ? null : Date.parse(next_at),
    }));
  }

  async sentSince(target: string, since: number): Promise<number> {
    const count = "select count(*) from tombolo_notification where target = ? and state = 'sent' and settled_at > ?";
    return Number(this.#read((connection) => connection.prepare(count).pluck().get(target, isoTime(since))));
  }

  async forget(before: number): Promise<void> {
    await this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      connection.prepare("delete from tombolo_notification where state <> 'waiting' and settled_at < ?").run(isoTime(before));
    });
  }

  #read<T>(work: (connection: Connection) => T): T {
    return this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      return work(connection);
    });
  }
}
