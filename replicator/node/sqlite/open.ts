import { channelName, type NodeName, tableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import type { Installation } from "../installation.ts";
import type { Node } from "../node.ts";
import { SqliteTarget } from "./apply.ts";
import { CaptureCounts } from "./capture-counts.ts";
import type { Clock } from "./clock.ts";
import { DatabaseFile } from "./connection.ts";
import { install, planInstall, planUninstall, uninstall } from "./install.ts";
import { SqliteLog } from "./log.ts";
import { readTable, tableShape } from "./shape.ts";
import { SqliteTableReader } from "./snapshot.ts";
import { examine, identity, notePeers, setPaused, status } from "./status.ts";
import { Verifier } from "./verify.ts";

export interface SqliteNodeOptions {
  readonly name: NodeName;
  /** Of a database that exists: the application's. */
  readonly path: string;
  readonly clock?: Clock;
}

/**
 * Opens a SQLite database as a node. Throws `DATABASE_MISSING` or `DATABASE_UNREACHABLE` (connect), `DATABASE_DAMAGED` (operator),
 * `SQLITE_TOO_OLD` (fatal).
 */
export async function openSqliteNode(options: SqliteNodeOptions): Promise<Node> {
  const { name, path, clock = Date.now } = options;
  const file = new DatabaseFile({ node: name, path });
  const captured = new CaptureCounts(file);
  const log = new SqliteLog({ file, clock, captured });
  const tables = new SqliteTableReader({ file, clock });
  return {
    name,
    engine: "sqlite",
    log,
    tables,
    target: new SqliteTarget({ file, clock }),
    installation: installation(file, clock, captured),
    async close() {
      log.close();
      tables.close();
      await file.close();
    },
  };
}

function installation(file: DatabaseFile, clock: Clock, captured: CaptureCounts): Installation {
  const verifier = new Verifier(file);
  return {
    plan: async (wanted) => file.read((connection) => planInstall(connection, file.node, wanted)),
    apply: (wanted) => install(file, wanted, clock),
    planUninstall: async () => file.read(planUninstall),
    uninstall: () => uninstall(file),
    verify: () => verifier.verify(),
    inspect: async () => inspect(file),
    identity: async () => identity(file),
    examine: async () => examine(file),
    status: async () => status(file),
    captured: async () => captured.count(),
    notePeers: (notes) => notePeers(file, notes),
    setPaused: (peer, paused) => setPaused(file, peer, paused),
  };
}

/** Every table of the application, under its local name. */
function inspect(file: DatabaseFile): readonly TableShape[] {
  return file.read((connection) => {
    const names = connection
      .prepare(
        `select name from pragma_table_list where schema = 'main' and type = 'table'
          and name not like 'sqlite\\_%' escape '\\' and name not like 'tombolo\\_%' escape '\\' order by name`,
      )
      .pluck()
      .all() as string[];
    return names.flatMap((name) => {
      const table = readTable(connection, name);
      return table === null ? [] : [tableShape(tableName(name), channelName(""), table.columns, table.key)];
    });
  });
}
