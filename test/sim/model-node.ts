import { epoch, type Position, scopeNumber, tableName } from "../../replicator/change/names.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import type { Node } from "../../replicator/node/node.ts";
import type { ModelDatabase } from "./model-database.ts";
import { CHANNEL, ModelLog, ModelTables, positions, type Session } from "./model-log.ts";
import { ModelTarget } from "./model-target.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export const TABLE = tableName("t");
export const COLUMNS = ["id", "a", "b", "n"] as const;

const SHAPE = {
  table: TABLE,
  channel: CHANNEL,
  engine: "postgres",
  columns: COLUMNS.map((name) => ({ name, type: "text", nullable: name !== "id" })),
  key: ["id"],
  hash: "t",
} as unknown as TableShape;

/** What a process opens of a database; as much of a node as a link between two databases uses. */
export function modelNode(options: {
  readonly database: ModelDatabase;
  readonly process: Process;
  readonly scheduler: Scheduler;
  /** Of the database: see ModelTarget. */
  readonly busy: Set<string>;
}): Node {
  const { database, process, scheduler, busy } = options;
  const session: Session = { database, process, scheduler, shape: SHAPE };
  const log = new ModelLog(session);
  const node: Partial<Node> = {
    name: database.name,
    engine: "postgres",
    log,
    tables: new ModelTables(session, log),
    target: new ModelTarget(session, busy),
    // every row travels
    scopes: { of: async () => [], choose: async () => scopeNumber(1), reached: async () => undefined },
    parked: {
      refused: async () => ({ total: 0, changes: [] }),
      noteRefused: async () => undefined,
    } as unknown as Node["parked"],
    rejoin: {
      async marks(peer: string) {
        await scheduler.turn(process);
        const row = database.peers.get(peer as never);
        if (row === undefined) return null;
        const acknowledged = new Map(Object.entries(row.acknowledged));
        return {
          received: new Map(Object.entries(positions(row.received))),
          sealed: new Map(),
          sent: acknowledged,
          receivedPacket: row.number,
          sentPacket: row.sentPacket,
          seeded: new Map(row.seeded === null ? [] : [[TABLE, row.seeded]]),
          mustResync: false,
        };
      },
      async hasSealed(at: Position) {
        await scheduler.turn(process);
        return database.ticks.has(at);
      },
    } as unknown as Node["rejoin"],
    installation: {
      async identity() {
        await scheduler.turn(process);
        return { epoch: epoch(`epoch of ${database.name}`), clockOffsetMs: database.clockMs, version: "model" };
      },
    } as unknown as Node["installation"],
    close: async () => undefined,
  };
  return node as Node;
}
