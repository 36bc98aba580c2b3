import { createHash } from "node:crypto";
import { z } from "zod";
import { channelName, type NodeName, nodeName, tableName } from "../change/names.ts";
import { PACKET_PROTOCOLS } from "../change/packet-limits.ts";
import type { Engine } from "../change/shape.ts";
import { rowFilterOf } from "../topology/row-filters.ts";
import type { Topology, TopologyChannel, TopologyLink, TopologyNode } from "../topology/topology.ts";

const name = z.string().min(1).max(500);
const names = z.array(name);

const tableSchema = z.object({
  name,
  postgres: z.object({ schema: name, table: name }).meta({ description: "Where it is in a Postgres." }),
  sqlite: name.meta({ description: "What it is called in SQLite." }),
  exclude: names.meta({ description: "Columns that do not travel; the edge may lack them." }),
  filtered: z.boolean().meta({ description: "The edge is given some of its rows only." }),
  conflict: z
    .object({
      policy: z.enum(["parent_wins", "child_wins", "newest_wins", "manual", "merge", "module"]),
      detect: z.enum(["column", "row"]),
      groups: z.array(names),
      merge_columns: z.record(z.string(), z.enum(["text", "json", "set", "counter", "max", "min"])),
      otherwise: z.enum(["parent_wins", "child_wins", "newest_wins", "manual"]),
    })
    .meta({ description: "How the hub decides conflicts. With `detect: row`, groups or a filter, updates are sent as whole rows." }),
});

export const manifestSchema = z.object({
  node: name,
  group: name,
  params: z.record(z.string(), z.string()),
  parent: z.object({ name, engine: z.enum(["postgres", "sqlite"]) }),
  protocol: z.object({ oldest: z.int(), newest: z.int() }).meta({ description: "The packets that the hub reads." }),
  batch: z.object({ max_rows: z.int(), max_bytes: z.int(), compression: z.enum(["gzip", "zstd", "none"]) }),
  channels: z.array(
    z.object({
      name,
      priority: z.int().meta({ description: "Lower travels first; channels of one priority travel in one packet." }),
      direction: z.enum(["both", "down", "up"]),
      tables: z.array(tableSchema),
    }),
  ),
});

/** What an edge has to know of the topology. Conditions, modules and other nodes are the hub's business. */
export type Manifest = z.output<typeof manifestSchema>;

/** Changes with whatever is in it. */
export const manifestId = (manifest: Manifest): string => createHash("sha256").update(JSON.stringify(manifest)).digest("hex").slice(0, 16);

export function manifestOf(options: {
  readonly topology: Topology;
  readonly link: TopologyLink;
  readonly group: string;
  readonly engine: Engine;
}): Manifest {
  const { topology, link, group, engine } = options;
  const { maxRows, maxBytes, compression } = topology.batch;
  return {
    node: link.child,
    group,
    params: { ...link.params },
    parent: { name: link.parent, engine },
    protocol: { ...PACKET_PROTOCOLS },
    batch: { max_rows: maxRows, max_bytes: maxBytes, compression },
    channels: link.channels.flatMap(({ name: channel, direction }) => {
      const found = topology.channels.find((candidate) => candidate.name === channel);
      if (found === undefined) return [];
      const tables = found.tables.map((table) => ({
        name: table.name,
        postgres: { ...table.postgres },
        sqlite: table.sqlite,
        exclude: [...table.exclude],
        filtered: rowFilterOf(table, link, engine) !== null,
        conflict: {
          policy: table.policy,
          detect: table.detect,
          groups: table.groups.map((columns) => [...columns]),
          merge_columns: { ...table.mergeColumns },
          otherwise: table.otherwise,
        },
      }));
      return [{ name: channel, priority: found.priority, direction, tables }];
    }),
  };
}

/** A condition that says nothing, in the place of one that the edge is not told. */
const SOME_ROWS = "true";

/** The topology as far as an edge knows it: its hub, itself, and the link between them. `database` is where its own is. */
export function edgeTopology(manifest: Manifest, database: string): { topology: Topology; link: TopologyLink; edge: TopologyNode } {
  const { parent, batch } = manifest;
  const hub = nodeConfig(nodeName(parent.name), parent.engine, "");
  const edge = edgeConfig(manifest.node, database);
  const channels = manifest.channels.map(
    ({ name: channel, priority, tables }): TopologyChannel => ({
      name: channelName(channel),
      priority,
      tables: tables.map(({ conflict: { merge_columns: mergeColumns, ...conflict }, filtered, ...table }) => ({
        ...table,
        ...conflict,
        name: tableName(table.name),
        mergeColumns,
        // the hub's own file
        module: null,
        filter: filtered ? SOME_ROWS : null,
        idStride: null,
      })),
    }),
  );
  const link: TopologyLink = {
    parent: hub.name,
    child: edge.name,
    params: {},
    channels: manifest.channels.map(({ name: channel, direction }) => ({ name: channelName(channel), direction })),
  };
  const topology: Topology = {
    name: manifest.group,
    file: "",
    nodes: [hub, edge],
    channels,
    links: [link],
    groups: [],
    addsColumns: false,
    batch: { maxRows: batch.max_rows, maxBytes: batch.max_bytes, maxWaitMs: 50, compression: batch.compression },
    retry: { initialMs: 1_000, factor: 2, maxMs: 32_000, jitter: true },
    log: { keepMs: 7 * 86_400_000, maxSizeBytes: 10 * 2 ** 30 },
    history: { keepMs: 90 * 86_400_000 },
    reconcile: [],
    metrics: null,
    hub: null,
  };
  return { topology, link, edge };
}

export const isPostgres = (database: string): boolean => /^postgres(ql)?:/.test(database);

/** `database`: a SQLite file, or the URL of a Postgres. */
export const edgeConfig = (name: string, database: string): TopologyNode =>
  nodeConfig(nodeName(name), isPostgres(database) ? "postgres" : "sqlite", database);

const nodeConfig = (name: NodeName, engine: Engine, at: string): TopologyNode =>
  engine === "postgres" ? { name, type: "postgres", url: at, capture: "trigger" } : { name, type: "sqlite", path: at };
