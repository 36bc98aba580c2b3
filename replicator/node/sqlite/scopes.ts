import { TomboloError } from "../../change/error.ts";
import { type NodeName, type ScopeNumber, scopeNumber, tableName } from "../../change/names.ts";
import { filterOf, type Scope, type Scopes, sameFilter, storedFilter } from "../scopes.ts";
import { capturedTable } from "./captured-tables.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireFilter } from "./filter-check.ts";
import { filteredTable } from "./row-filter.ts";
import { prepared } from "./rows.ts";

/** What this node has chosen for its children: tombolo_scope. */
export class SqliteScopes implements Scopes {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async of(child: NodeName): Promise<readonly Scope[]> {
    return this.#file.read((connection) => {
      const id = connection.prepare("select id from tombolo_peer where name = ?").pluck().get(child) as bigint | undefined;
      return id === undefined ? [] : scopesOf(connection, Number(id));
    });
  }

  /** The write lock keeps it apart from packets that are being applied. */
  async choose(child: NodeName, { table: name, filter, at }: Parameters<Scopes["choose"]>[1]): Promise<ScopeNumber> {
    return this.#file.write((connection) => {
      const table = capturedTable(connection, name, this.#file.node);
      if (filter !== null) requireFilter(filteredTable(connection, table), filter, name);
      const id = peerId(connection, child);
      const known = scopesOf(connection, id).filter((scope) => scope.table === name);
      const newest = known.at(-1);
      if (newest !== undefined && sameFilter(newest.filter, filter)) return newest.number;
      const now = this.#clock();
      // never a number that was given before, even if all that had one were forgotten
      const last = connection.prepare("select coalesce(max(id), 0) from tombolo_scope").pluck().get() as bigint;
      const number = last >= BigInt(now) ? last + 1n : BigInt(now);
      connection
        .prepare("delete from tombolo_scope where peer_id = ? and table_name = ? and reached = 0 and id is not ?")
        .run(id, name, at);
      const stored = storedFilter(filter);
      connection
        .prepare("insert into tombolo_scope (id, peer_id, table_name, filter, params, created_at) values (?, ?, ?, ?, ?, ?)")
        .run(number, id, name, stored.filter, stored.params, isoTime(now));
      return scopeNumber(number);
    });
  }

  async reached(child: NodeName, table: Scope["table"], scope: ScopeNumber): Promise<void> {
    await this.#file.write((connection) => {
      const id = peerId(connection, child);
      connection.prepare("update tombolo_scope set reached = 1 where peer_id = ? and table_name = ? and id = ?").run(id, table, scope);
      connection.prepare("delete from tombolo_scope where peer_id = ? and table_name = ? and id < ?").run(id, table, scope);
    });
  }
}

function peerId(connection: Connection, child: NodeName): number {
  const id = connection.prepare("select id from tombolo_peer where name = ?").pluck().get(child) as bigint | undefined;
  if (id === undefined) throw new TomboloError(`${child} is not known here as a neighbour`, { code: "PEER_UNKNOWN", kind: "retry" });
  return Number(id);
}

/** In order of their numbers. */
export function scopesOf(connection: Connection, peer: number): Scope[] {
  const sql = "select id, table_name, filter, params, reached from tombolo_scope where peer_id = ? order by id";
  const rows = prepared(connection, sql).raw().all(peer) as [bigint, string, string, string, bigint][];
  return rows.map(([id, table, filter, params, reached]) => ({
    number: scopeNumber(id),
    table: tableName(table),
    filter: filterOf({ filter, params }),
    reached: reached === 1n,
  }));
}
