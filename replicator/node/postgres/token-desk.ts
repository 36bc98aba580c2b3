import type pg from "pg";
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
import { transaction } from "./connection.ts";
import { requireCurrent } from "./migrate.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { UNDEFINED_COLUMN, UNDEFINED_TABLE } from "./sqlstate.ts";

const iso = (column: string): string => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const COLUMNS = `id, kind, handle, encode(hash, 'hex') as hash, name, role, node, group_name, params::text as params, created_by, replaced_by, lifetime_ms,
  ${iso("created_at")} as created_at, ${iso("expires_at")} as expires_at, ${iso("revoked_at")} as revoked_at, ${iso("last_used_at")} as last_used_at`;

const IN_FORCE =
  "revoked_at is null and (expires_at is null or expires_at > clock_timestamp()) and (kind = 'token' or replaced_by is null)";

/** A token, what came in its place, and so on. */
const CHAIN = `with recursive chain as (
  select id, replaced_by from tombolo.token where id = $1 union select t.id, t.replaced_by from tombolo.token t join chain c on t.id = c.replaced_by)`;

const expiry = (parameter: string): string => `clock_timestamp() + ${parameter}::bigint * interval '1 millisecond'`;

type StoredToken = { readonly [column: string]: string | null };

/** The tokens of a Postgres hub. */
export class PostgresTokenDesk implements TokenDesk {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async find(kind: TokenKind, handle: string): Promise<TokenRecord | null> {
    const text = `select ${COLUMNS} from tombolo.token where kind = $1 and handle = $2 and ${IN_FORCE}`;
    const rows = await this.#read({ name: "tombolo_token", text, values: [kind, handle] });
    return rows[0] ?? null;
  }

  async noteUse({ id, lastUsedAt }: TokenRecord): Promise<void> {
    if (lastUsedAt !== null && Date.now() - Date.parse(lastUsedAt) < USE_NOTED_EVERY_MS) return;
    const stale = `last_used_at is null or last_used_at < ${expiry(`-${USE_NOTED_EVERY_MS}`)}`;
    await this.#pool.query(`update tombolo.token set last_used_at = clock_timestamp() where id = $1 and (${stale})`, [id.toString()]);
  }

  async issue(identity: NewIdentity, secret: NewSecret): Promise<TokenRecord> {
    return this.#changing(async (client) => {
      const record = await insert(client, identity, secret);
      await audit(client, secret.by, `${identity.kind} created`, record);
      return record;
    });
  }

  async redeem(id: bigint, secret: NewSecret): Promise<TokenRecord | null> {
    return this.#changing(async (client) => {
      const code = await locked(client, id);
      if (code?.kind !== "code") return null;
      const record = await insert(client, { ...code, kind: "token", expiresInMs: code.lifetimeMs }, secret);
      await client.query(
        "update tombolo.token set revoked_at = clock_timestamp() where node = $1 and id <> $2 and kind = 'token' and revoked_at is null",
        [code.node, record.id.toString()],
      );
      await client.query("update tombolo.token set replaced_by = $2, last_used_at = clock_timestamp() where id = $1", [
        id.toString(),
        record.id.toString(),
      ]);
      await audit(client, secret.by, "code redeemed", record);
      return record;
    });
  }

  async rotate(id: bigint, secret: NewSecret, graceMs: number): Promise<TokenRecord | null> {
    return this.#changing(async (client) => {
      const old = await locked(client, id);
      if (old?.kind !== "token") return null;
      const before = await client.query(
        "update tombolo.token set revoked_at = clock_timestamp() where id = $1 and last_used_at is null and revoked_at is null",
        [old.replacedBy?.toString() ?? null],
      );
      if (old.replacedBy !== null && before.rowCount === 0) return null;
      const record = await insert(client, { ...old, expiresInMs: old.lifetimeMs }, secret);
      await client.query(`update tombolo.token set replaced_by = $2, expires_at = least(expires_at, ${expiry("$3")}) where id = $1`, [
        id.toString(),
        record.id.toString(),
        graceMs,
      ]);
      await audit(client, secret.by, "token rotated", record);
      return record;
    });
  }

  async list({ limit, before, node, role, inForce = false }: TokenFilter): Promise<readonly TokenRecord[]> {
    const where = "where ($1::bigint is null or id < $1) and ($2::text is null or node = $2) and ($3::text is null or role = $3)";
    const parameters = [before?.toString() ?? null, node ?? null, role ?? null, limit];
    return this.#select(`${where} ${inForce ? `and ${IN_FORCE}` : ""} order by id desc limit $4`, parameters);
  }

  async revoke(id: bigint, by: string): Promise<TokenRecord | null> {
    return this.#changing(async (client) => {
      const revoked = await client.query(
        `${CHAIN} update tombolo.token set revoked_at = clock_timestamp() where id in (select id from chain) and revoked_at is null`,
        [id.toString()],
      );
      const { rows } = await client.query<StoredToken>(`select ${COLUMNS} from tombolo.token where id = $1`, [id.toString()]);
      const record = rows[0] === undefined ? null : recordOf(rows[0]);
      if (record !== null && (revoked.rowCount ?? 0) > 0) await audit(client, by, `${record.kind} revoked`, record);
      return record;
    });
  }

  #select(where: string, parameters: readonly unknown[]): Promise<readonly TokenRecord[]> {
    return this.#read({ text: `select ${COLUMNS} from tombolo.token ${where}`, values: [...parameters] });
  }

  #read(statement: pg.QueryConfig): Promise<readonly TokenRecord[]> {
    return this.#installed(async () => (await this.#pool.query<StoredToken>(statement)).rows.map(recordOf));
  }

  #changing<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#installed(() => transaction(this.#pool, work));
  }

  /** A database in which the table is not there, or not as this version has it, is told as such: asked only when it was missed. */
  async #installed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const cause = isServerError(error) ? error : (error as Error).cause;
      if (isServerError(cause) && (cause.code === UNDEFINED_TABLE || cause.code === UNDEFINED_COLUMN)) await requireCurrent(this.#pool);
      throw postgresError(error);
    }
  }
}

/** The record, if it is in force, kept from changing until the transaction ends. */
async function locked(client: pg.ClientBase, id: bigint): Promise<TokenRecord | null> {
  const { rows } = await client.query<StoredToken>(`select ${COLUMNS} from tombolo.token where id = $1 and ${IN_FORCE} for update`, [
    id.toString(),
  ]);
  return rows[0] === undefined ? null : recordOf(rows[0]);
}

async function insert(client: pg.ClientBase, identity: NewIdentity, secret: NewSecret): Promise<TokenRecord> {
  const { rows } = await client.query<StoredToken>(
    `insert into tombolo.token (kind, handle, hash, name, role, node, group_name, params, created_by, lifetime_ms, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ${expiry("$11")}) returning ${COLUMNS}`,
    [
      identity.kind,
      secret.handle,
      Buffer.from(secret.hash),
      identity.name,
      identity.role,
      identity.node,
      identity.group,
      JSON.stringify(identity.params),
      secret.by,
      identity.lifetimeMs,
      identity.expiresInMs,
    ],
  );
  return recordOf(rows[0] as StoredToken);
}

async function audit(client: pg.ClientBase, who: string, what: string, record: TokenRecord): Promise<void> {
  await client.query("insert into tombolo.audit (who, what, details) values ($1, $2, $3)", [who, what, tokenDetails(record)]);
}

const recordOf = (row: StoredToken): TokenRecord => ({
  id: BigInt(row.id as string),
  kind: row.kind as TokenKind,
  handle: row.handle as string,
  hash: Buffer.from(row.hash as string, "hex"),
  name: row.name as string,
  role: row.role as Role,
  node: row.node === null ? null : (nodeName(row.node as string) as NodeName),
  group: row.group_name ?? null,
  params: JSON.parse(row.params as string),
  createdBy: row.created_by as string,
  createdAt: row.created_at as string,
  expiresAt: row.expires_at ?? null,
  lifetimeMs: row.lifetime_ms == null ? null : Number(row.lifetime_ms),
  revokedAt: row.revoked_at ?? null,
  lastUsedAt: row.last_used_at ?? null,
  replacedBy: row.replaced_by == null ? null : BigInt(row.replaced_by),
});
