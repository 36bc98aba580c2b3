import { type NodeName, nodeName } from "../../change/names.ts";
import {
  type NewIdentity,
  type NewSecret,
  type Role,
  type TokenDesk,
  type TokenFilter,
  type TokenKind,
  type TokenRecord,
  tokenDetails,
  USE_NOTED_EVERY_MS,
} from "../token-desk.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

const IN_FORCE = "revoked_at is null and (expires_at is null or expires_at > :now) and (kind = 'token' or replaced_by is null)";

/** A token, what came in its place, and so on. */
const CHAIN = `with recursive chain as (
  select id, replaced_by from tombolo_token where id = :id union select t.id, t.replaced_by from tombolo_token t join chain c on t.id = c.replaced_by)`;

interface StoredToken {
  readonly id: bigint;
  readonly kind: TokenKind;
  readonly handle: string;
  readonly hash: Buffer;
  readonly name: string;
  readonly role: Role;
  readonly node: string | null;
  readonly group_name: string | null;
  readonly params: string;
  readonly created_by: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly lifetime_ms: bigint | null;
  readonly revoked_at: string | null;
  readonly last_used_at: string | null;
  readonly replaced_by: bigint | null;
}

/** The tokens of a SQLite hub. */
export class SqliteTokenDesk implements TokenDesk {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async find(kind: TokenKind, handle: string): Promise<TokenRecord | null> {
    return this.#read((connection) => {
      const row = connection
        .prepare(`select * from tombolo_token where kind = :kind and handle = :handle and ${IN_FORCE}`)
        .get({ kind, handle, now: this.#at(0) });
      return row === undefined ? null : recordOf(row as StoredToken);
    });
  }

  async noteUse({ id, lastUsedAt }: TokenRecord): Promise<void> {
    if (lastUsedAt !== null && lastUsedAt > this.#at(-USE_NOTED_EVERY_MS)) return;
    await this.#file.write((connection) =>
      connection
        .prepare("update tombolo_token set last_used_at = :now where id = :id and (last_used_at is null or last_used_at <= :stale)")
        .run({ id, now: this.#at(0), stale: this.#at(-USE_NOTED_EVERY_MS) }),
    );
  }

  async issue(identity: NewIdentity, secret: NewSecret): Promise<TokenRecord> {
    return this.#write((connection) => {
      const record = this.#insert(connection, identity, secret);
      this.#audit(connection, secret.by, `${identity.kind} created`, record);
      return record;
    });
  }

  async redeem(id: bigint, secret: NewSecret): Promise<TokenRecord | null> {
    return this.#write((connection) => {
      const code = this.#inForce(connection, id);
      if (code?.kind !== "code") return null;
      const record = this.#insert(connection, { ...code, kind: "token", expiresInMs: code.lifetimeMs }, secret);
      connection
        .prepare("update tombolo_token set revoked_at = :now where node = :node and id <> :id and kind = 'token' and revoked_at is null")
        .run({ now: this.#at(0), node: code.node, id: record.id });
      connection
        .prepare("update tombolo_token set replaced_by = :by, last_used_at = :now where id = :id")
        .run({ by: record.id, now: this.#at(0), id });
      this.#audit(connection, secret.by, "code redeemed", record);
      return record;
    });
  }

  async rotate(id: bigint, secret: NewSecret, graceMs: number): Promise<TokenRecord | null> {
    return this.#write((connection) => {
      const old = this.#inForce(connection, id);
      if (old?.kind !== "token") return null;
      const before = connection
        .prepare("update tombolo_token set revoked_at = :now where id = :id and last_used_at is null and revoked_at is null")
        .run({ now: this.#at(0), id: old.replacedBy });
      if (old.replacedBy !== null && before.changes === 0) return null;
      const record = this.#insert(connection, { ...old, expiresInMs: old.lifetimeMs }, secret);
      connection
        .prepare("update tombolo_token set replaced_by = :by, expires_at = min(coalesce(expires_at, :until), :until) where id = :id")
        .run({ by: record.id, until: this.#at(graceMs), id });
      this.#audit(connection, secret.by, "token rotated", record);
      return record;
    });
  }

  async list({ limit, before, node, role, inForce = false }: TokenFilter): Promise<readonly TokenRecord[]> {
    const where = "(:before is null or id < :before) and (:node is null or node = :node) and (:role is null or role = :role)";
    const statement = `select * from tombolo_token where ${where} and (:all or (${IN_FORCE})) order by id desc limit :limit`;
    return this.#read((connection) => {
      const parameters = { limit, before: before ?? null, node: node ?? null, role: role ?? null, all: inForce ? 0 : 1, now: this.#at(0) };
      return (connection.prepare(statement).all(parameters) as StoredToken[]).map(recordOf);
    });
  }

  async revoke(id: bigint, by: string): Promise<TokenRecord | null> {
    return this.#write((connection) => {
      const revoked = connection
        .prepare(`${CHAIN} update tombolo_token set revoked_at = :now where id in (select id from chain) and revoked_at is null`)
        .run({ id, now: this.#at(0) });
      const row = connection.prepare("select * from tombolo_token where id = ?").get(id) as StoredToken | undefined;
      const record = row === undefined ? null : recordOf(row);
      if (record !== null && revoked.changes > 0) this.#audit(connection, by, `${record.kind} revoked`, record);
      return record;
    });
  }

  #inForce(connection: Connection, id: bigint): TokenRecord | null {
    const row = connection.prepare(`select * from tombolo_token where id = :id and ${IN_FORCE}`).get({ id, now: this.#at(0) });
    return row === undefined ? null : recordOf(row as StoredToken);
  }

  #insert(connection: Connection, identity: NewIdentity, secret: NewSecret): TokenRecord {
    const row = connection
      .prepare(
        `insert into tombolo_token (kind, handle, hash, name, role, node, group_name, params, created_by, created_at, lifetime_ms, expires_at)
           values (:kind, :handle, :hash, :name, :role, :node, :group, :params, :by, :now, :lifetime, :until) returning *`,
      )
      .get({
        kind: identity.kind,
        handle: secret.handle,
        hash: Buffer.from(secret.hash),
        name: identity.name,
        role: identity.role,
        node: identity.node,
        group: identity.group,
        params: JSON.stringify(identity.params),
        by: secret.by,
        now: this.#at(0),
        lifetime: identity.lifetimeMs,
        until: identity.expiresInMs === null ? null : this.#at(identity.expiresInMs),
      });
    return recordOf(row as StoredToken);
  }

  #audit(connection: Connection, who: string, what: string, record: TokenRecord): void {
    connection
      .prepare("insert into tombolo_audit (at, who, what, details) values (?, ?, ?, ?)")
      .run(this.#at(0), who, what, tokenDetails(record));
  }

  /** So many milliseconds from now. */
  #at(offsetMs: number): string {
    return isoTime(this.#clock() + offsetMs);
  }

  #write<T>(work: (connection: Connection) => T): Promise<T> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      return work(connection);
    });
  }

  /** A database in which the table is not there, or not as this version has it, is told as such: asked only when it was missed. */
  #read<T>(work: (connection: Connection) => T): T {
    return this.#file.read((connection) => {
      try {
        return work(connection);
      } catch (error) {
        requireCurrent(connection, this.#file.node);
        throw error;
      }
    });
  }
}

const recordOf = (row: StoredToken): TokenRecord => ({
  id: row.id,
  kind: row.kind,
  handle: row.handle,
  hash: row.hash,
  name: row.name,
  role: row.role,
  node: row.node === null ? null : (nodeName(row.node) as NodeName),
  group: row.group_name,
  params: JSON.parse(row.params),
  createdBy: row.created_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  lifetimeMs: row.lifetime_ms === null ? null : Number(row.lifetime_ms),
  revokedAt: row.revoked_at,
  lastUsedAt: row.last_used_at,
  replacedBy: row.replaced_by,
});
