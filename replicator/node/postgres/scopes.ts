import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, type ScopeNumber, scopeNumber, tableName } from "../../change/names.ts";
import { filterOf, type Scope, type Scopes, sameFilter, storedFilter } from "../scopes.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import { requireFilter } from "./filter-check.ts";
import { postgresError } from "./postgres-error.ts";

const SCOPES = "select id, table_name, filter, params::text as params, reached from tombolo.scope";

interface StoredScope {
  readonly id: string;
  readonly table_name: string;
  readonly filter: string;
  readonly params: string;
  readonly reached: string;
}

/** What this node has chosen for its children: tombolo.scope. */
export class PostgresScopes implements Scopes {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;

  constructor(options: { readonly pool: pg.Pool; readonly tables: CapturedTables }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
  }

  async of(child: NodeName): Promise<readonly Scope[]> {
    try {
      const { rows } = await this.#pool.query<StoredScope>({
        name: "tombolo_scopes_of",
        text: `${SCOPES} where peer_id = (select id from tombolo.peer where name = $1) order by id`,
        values: [child],
      });
      return rows.map(scopeOf);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async choose(child: NodeName, { table: name, filter, at }: Parameters<Scopes["choose"]>[1]): Promise<ScopeNumber> {
    const [table] = await this.#tables.named([name]);
    if (table === undefined) throw new TypeError("a table that is named is found");
    if (filter !== null) {
      if (!table.wholeImages) throw notInstalled(table.name);
      await requireFilter(this.#pool, table, filter);
    }
    return transaction(this.#pool, async (client) => {
      // whoever applies a packet of the child holds this row
      const { rows } = await client.query<{ id: string }>("select id from tombolo.peer where name = $1 for update", [child]);
      if (rows[0] === undefined)
        throw new TomboloError(`${child} is not known here as a neighbour`, { code: "PEER_UNKNOWN", kind: "retry" });
      const id = Number(rows[0].id);
      const known = (await scopesOf(client, id)).filter((scope) => scope.table === name);
      const newest = known.at(-1);
      if (newest !== undefined && sameFilter(newest.filter, filter)) return newest.number;
      await client.query(
        "delete from tombolo.scope where peer_id = $1 and table_name = $2 and not reached and id is distinct from $3::bigint",
        [id, name, at?.toString() ?? null],
      );
      const stored = storedFilter(filter);
      const made = await client.query<{ id: string }>(
        "insert into tombolo.scope (peer_id, table_name, filter, params) values ($1, $2, $3, $4) returning id",
        [id, name, stored.filter, stored.params],
      );
      return scopeNumber(made.rows[0]?.id as string);
    });
  }

  async reached(child: NodeName, table: Scope["table"], scope: ScopeNumber): Promise<void> {
    await transaction(this.#pool, async (client) => {
      const own = "peer_id = (select id from tombolo.peer where name = $1 for update) and table_name = $2";
      await client.query(`update tombolo.scope set reached = true where ${own} and id = $3::bigint`, [child, table, scope.toString()]);
      await client.query(`delete from tombolo.scope where ${own} and id < $3::bigint`, [child, table, scope.toString()]);
    });
  }
}

/** In order of their numbers. */
export async function scopesOf(client: Pick<pg.ClientBase, "query"> | pg.Pool, peerId: number): Promise<Scope[]> {
  const { rows } = await client.query<StoredScope>({
    name: "tombolo_scopes",
    text: `${SCOPES} where peer_id = $1 order by id`,
    values: [peerId],
  });
  return rows.map(scopeOf);
}

const scopeOf = (row: StoredScope): Scope => ({
  number: scopeNumber(row.id),
  table: tableName(row.table_name),
  filter: filterOf(row),
  reached: row.reached === "t",
});

const notInstalled = (table: string): TomboloError =>
  new TomboloError(`table ${table} has a filter, but its updates are not logged as whole rows`, {
    code: "FILTER_NOT_INSTALLED",
    kind: "operator",
    hint: "run `tombolo apply`",
  });
