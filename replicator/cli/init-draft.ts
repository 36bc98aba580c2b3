import type { TableShape } from "../change/shape.ts";
import type { TopologyNode } from "../topology/topology.ts";

/** A database that `init` was pointed at, and what is in it. */
export interface Found {
  readonly config: TopologyNode;
  /** The environment variable that is to hold its URL; null for a file. */
  readonly variable: string | null;
  readonly url: string | null;
  readonly shapes: readonly TableShape[];
}

export interface Draft {
  readonly text: string;
  readonly tables: readonly string[];
  readonly leftOut: readonly { readonly table: string; readonly reason: string }[];
}

interface Candidate {
  readonly table: string;
  /** Names of the children that have it too. */
  readonly children: readonly string[];
}

/**
 * The text of a topology: the first node is the hub, every other one its child; a table is taken when the hub and at least one child have
 * it with a key. Tables that the same children have travel in one channel.
 */
export function draftTopology(options: { name: string; nodes: readonly Found[]; pathOf: (path: string) => string }): Draft {
  const [hub, ...children] = options.nodes;
  if (hub === undefined) throw new TypeError("a topology has a hub");
  const leftOut: { table: string; reason: string }[] = [];
  const candidates: Candidate[] = [];
  for (const shape of hub.shapes) {
    const having = children.filter((child) => child.shapes.some((other) => matches(hub, child, shape.table, other.table)));
    if (having.length === 0) leftOut.push({ table: shape.table, reason: "only in the hub" });
    else if (ambiguous(hub, having, shape))
      leftOut.push({ table: shape.table, reason: "a SQLite table has the name of two tables of the hub" });
    else if (shape.key.length === 0) leftOut.push({ table: shape.table, reason: "has no primary key" });
    else candidates.push({ table: topologyName(hub.config.type, shape.table), children: having.map(({ config }) => config.name) });
  }
  const channels = grouped(candidates);
  const lines = [
    "# yaml-language-server: $schema=./topology.schema.json",
    "# Written by `tombolo init`: read it, correct it, then run `tombolo validate`, `tombolo plan` and `tombolo apply`.",
    "version: 1",
    `name: ${scalar(options.name)}`,
    "nodes:",
    ...options.nodes.flatMap(({ config, variable }) => [
      `  - name: ${scalar(config.name)}`,
      `    type: ${config.type}`,
      config.type === "postgres" ? `    url: \${${variable}}` : `    path: ${scalar(options.pathOf(config.path))}`,
    ]),
    "channels:",
    ...channels.flatMap(({ name, tables }) => [
      `  - name: ${scalar(name)}`,
      "    tables:",
      ...tables.flatMap((table) => [`      - name: ${scalar(table)}`, "        conflict: parent_wins # or child_wins, newest_wins"]),
    ]),
    ...leftOut.map(({ table, reason }) => `  # left out: ${JSON.stringify(table)}: ${reason}`),
    "links:",
    ...children.flatMap(({ config }) => {
      const travelling = channels.filter((channel) => channel.children.includes(config.name));
      if (travelling.length === 0) return [`  # ${config.name} has no table in common with the hub`];
      const list = travelling.map(({ name }) => `{ name: ${scalar(name)}, direction: both }`).join(", ");
      return [`  - parent: ${scalar(hub.config.name)}`, `    child: ${scalar(config.name)}`, `    channels: [${list}] # both, down or up`];
    }),
    "metrics: { listen: 127.0.0.1:9187 }",
    "",
  ];
  return { text: lines.join("\n"), tables: candidates.map(({ table }) => table), leftOut };
}

/** In SQLite there are no schemas: `shop.orders` is `orders` there. */
function matches(hub: Found, child: Found, table: string, other: string): boolean {
  if (hub.config.type === child.config.type) return table === other;
  return hub.config.type === "postgres" ? bare(table) === other : table === bare(other);
}

/** As the topology writes it: a part with a dot, a space or a quote in double quotes. */
function topologyName(type: "postgres" | "sqlite", table: string): string {
  const part = (name: string) => (/^[^".\s]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
  const dot = table.indexOf(".");
  return type === "sqlite" || dot === -1 ? part(table) : `${part(table.slice(0, dot))}.${part(table.slice(dot + 1))}`;
}

const bare = (table: string): string => table.slice(table.indexOf(".") + 1);

function ambiguous(hub: Found, having: readonly Found[], shape: TableShape): boolean {
  if (hub.config.type !== "postgres" || having.every(({ config }) => config.type === "postgres")) return false;
  return hub.shapes.filter((other) => bare(other.table) === bare(shape.table)).length > 1;
}

function grouped(candidates: readonly Candidate[]): readonly { name: string; tables: readonly string[]; children: readonly string[] }[] {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const key = candidate.children.join("\n");
    groups.set(key, [...(groups.get(key) ?? []), candidate]);
  }
  return [...groups.values()].map((members, index) => ({
    name: index === 0 ? "main" : `main-${index + 1}`,
    tables: members.map(({ table }) => table),
    children: members[0]?.children ?? [],
  }));
}

/** A plain scalar where YAML reads it as exactly this text, else a quoted one; `$` is doubled, as it starts a variable. */
function scalar(value: string): string {
  const text = value.replaceAll("$", "$$$$");
  const plain = /^[A-Za-z_./][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n|\.|\.inf|\.nan)$/i.test(text);
  return plain ? text : JSON.stringify(text);
}
