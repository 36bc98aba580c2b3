import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Change } from "../../replicator/change/change.ts";
import { channelName, type Epoch, nodeName, type Position, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import type { Packet, PacketHeader } from "../../replicator/change/packet.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import { type Clash, PLAIN_RULE, type Policy, type Verdict } from "../../replicator/change/verdict.ts";
import type { WantedTable } from "../../replicator/node/installation.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import type { ApplyContext, PeerRole } from "../../replicator/node/target.ts";

export const HUB = nodeName("hub");
export const CHANNEL = channelName("all");

/** A database file, the node that replicates it, and the application, which has none of our settings. */
export interface TestDatabase {
  readonly path: string;
  readonly node: Node;
  readonly application: Database.Database;
  close(): Promise<void>;
}

export const wanted = (tables: readonly string[], detect: "column" | "row" = "column"): WantedTable[] =>
  tables.map((table) => ({
    table: tableName(table),
    channel: CHANNEL,
    local: table,
    wholeImages: detect === "row",
    conflict: PLAIN_RULE,
    exclude: [],
    receives: true,
    sharesKeys: false,
    filters: [],
    idStride: null,
  }));

export async function database(schema: string, tables: readonly string[] = [], name = "store"): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-sqlite-"));
  const path = join(folder, "application.db");
  const application = new Database(path);
  application.pragma("journal_mode = wal");
  application.pragma("synchronous = off");
  application.pragma("foreign_keys = off");
  application.pragma("recursive_triggers = off");
  application.defaultSafeIntegers();
  application.exec(schema);
  const node = await openSqliteNode({ name: nodeName(name), path });
  if (tables.length > 0) await node.installation.apply(wanted(tables));
  return {
    path,
    node,
    application,
    async close() {
      await node.close();
      application.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a test with a database, and removes it whatever happens. */
export async function withDatabase(
  schema: string,
  tables: readonly string[],
  test: (database: TestDatabase) => Promise<void>,
): Promise<void> {
  const made = await database(schema, tables);
  try {
    await test(made);
  } finally {
    await made.close();
  }
}

export async function collect(groups: AsyncIterable<readonly Change[]>): Promise<Change[]> {
  const all: Change[] = [];
  for await (const group of groups) all.push(...group);
  return all;
}

/** What `reader` gets of everything captured after a position, and the position that it has then. */
export async function readAll(
  node: Node,
  tables: readonly string[],
  options: { readonly after?: Position; readonly reader?: string; readonly maxRows?: number } = {},
): Promise<{ changes: Change[]; position: Position }> {
  const { position } = await node.log.tick();
  const changes = await collect(
    node.log.read({
      reader: nodeName(options.reader ?? HUB),
      tables: tables.map(tableName),
      after: options.after ?? START,
      upTo: position,
      maxRows: options.maxRows ?? 1000,
      maxBytes: 1 << 20,
    }),
  );
  return { changes, position };
}

/** Rows of a table as SQL literals, sorted. */
export const dump = (application: Database.Database, table: string): string[] => {
  const columns = application.prepare(`select name from pragma_table_info('${table}')`).pluck().all() as string[];
  const image = columns.map((column) => `quote("${column}")`).join(" || ',' || ");
  return application.prepare(`select ${image} from "${table}" order by 1`).pluck().all() as string[];
};

export interface TestPacket {
  readonly number: number;
  readonly changes: readonly (readonly Change[])[];
  readonly shapes: readonly TableShape[];
  readonly source?: string;
  readonly target?: string;
  readonly previous?: string;
  readonly seen?: { readonly [channel: string]: Position };
  readonly upTo?: bigint;
  readonly kind?: "changes" | "fill";
  readonly epoch?: string;
  readonly digest?: string;
}

/** A packet as a link would make it; its digest is what the test says. */
export function packet(options: TestPacket): Packet {
  const header: PacketHeader = {
    protocol: 1,
    source: nodeName(options.source ?? HUB),
    target: nodeName(options.target ?? "store"),
    epoch: (options.epoch ?? "00000000-0000-4000-8000-000000000001") as Epoch,
    number: packetNumber(options.number),
    previous: options.previous ?? (options.number === 1 ? "" : `digest ${options.number - 1}`),
    kind: options.kind ?? "changes",
    channels: [CHANNEL],
    after: START,
    upTo: (options.upTo ?? BigInt(options.number)) as Position,
    tables: options.shapes,
    seen: options.seen ?? {},
  };
  async function* parts() {
    yield* options.changes;
  }
  return { header, parts: parts(), digest: () => options.digest ?? `digest ${options.number}` };
}

/** Parent or child wins, whatever the clash: the judge has tests of its own. */
export const judgeFor =
  (winner: "parent" | "child") =>
  (clash: Clash): Verdict => {
    const conflict = { kind: "update_update", resolution: winner, reason: "test" } as const;
    if (winner === "parent") return { result: clash.parent, conflict, refresh: true };
    return { result: clash.child, conflict, refresh: !clash.wholeChild };
  };

export function context(
  from: PeerRole,
  tables: readonly string[],
  options: Partial<ApplyContext> & { readonly policy?: Policy } = {},
): ApplyContext {
  const { policy = "parent_wins", ...rest } = options;
  const rules = tables.map((table) => [tableName(table), { table: tableName(table), channel: CHANNEL, ...PLAIN_RULE, policy }] as const);
  return { from, rules: new Map(rules), judge: judgeFor("parent"), clockOffsetMs: 0, nowMs: Date.now(), ...rest };
}
