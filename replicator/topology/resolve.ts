import { dirname } from "node:path";
import { channelName, nodeName, tableName } from "../change/names.ts";
import type { TopologyFile } from "./file-schema.ts";
import { absolute, connectionUrl } from "./location.ts";
import { NOTIFIED_EVENTS } from "./notification-fields.ts";
import { parseTableName } from "./table-name.ts";
import type { NotificationTarget, Topology, TopologyChannel, TopologyLink, TopologyNode, TopologyTable } from "./topology.ts";
import { durationMs, listenAddress, sizeBytes } from "./units.ts";

/** What a checked file means. `file` is the absolute path of the topology. */
export function resolveTopology(raw: TopologyFile, file: string): Topology {
  const folder = dirname(file);
  return {
    name: raw.name,
    file,
    nodes: raw.nodes.map((node) => resolveNode(node, folder)),
    channels: raw.channels.map((channel) => resolveChannel(channel, folder)),
    links: raw.links.map((link) => ({
      parent: nodeName(link.parent),
      child: nodeName(link.child),
      params: link.params,
      channels: link.channels.map(resolveUse),
      ...(link.transport === "file" && { transport: link.transport }),
    })),
    groups: raw.groups.map((group) => ({
      name: group.name,
      parent: nodeName(group.parent),
      channels: group.channels.map(resolveUse),
      params: group.params,
    })),
    batch: {
      maxRows: raw.batch.max_rows,
      maxBytes: checked(sizeBytes(raw.batch.max_bytes)),
      maxWaitMs: checked(durationMs(raw.batch.max_wait)),
      compression: raw.batch.compression,
    },
    retry: {
      initialMs: checked(durationMs(raw.retry.initial)),
      factor: raw.retry.factor,
      maxMs: checked(durationMs(raw.retry.max)),
      jitter: raw.retry.jitter,
    },
    log: { keepMs: checked(durationMs(raw.log.keep)), maxSizeBytes: checked(sizeBytes(raw.log.max_size)) },
    history: { keepMs: checked(durationMs(raw.history.keep)) },
    reconcile: raw.reconcile.map((schedule) => ({ ...schedule, links: schedule.links === "all" ? "all" : schedule.links.map(linkEnds) })),
    metrics: typeof raw.metrics === "object" ? checked(listenAddress(raw.metrics.listen)) : null,
    ...(raw.notifications !== undefined && { notifications: resolveNotifications(raw.notifications, folder) }),
    ...(raw.medium !== undefined && { medium: resolveMedium(raw.medium, folder) }),
    hub: raw.hub === undefined ? null : resolveHub(raw.hub, folder),
    addsColumns: raw.ddl === "add_columns",
  };
}

function resolveNode(node: TopologyFile["nodes"][number], folder: string): TopologyNode {
  const common = { name: nodeName(node.name), ...(node.id_slot !== undefined && { idSlot: node.id_slot }) };
  if (node.type === "sqlite") return { ...common, type: "sqlite", path: absolute(folder, node.path) };
  return { ...common, type: "postgres", url: connectionUrl(folder, node.url, node.password), capture: node.capture };
}

function resolveChannel(channel: TopologyFile["channels"][number], folder: string): TopologyChannel {
  return {
    name: channelName(channel.name),
    priority: channel.priority,
    tables: channel.tables.map((table) => resolveTable(table, folder)),
  };
}

type RawTable = TopologyFile["channels"][number]["tables"][number];

function resolveTable(raw: RawTable, folder: string): TopologyTable {
  const table: Exclude<RawTable, string> =
    typeof raw === "string" ? { name: raw, conflict: "parent_wins", detect: "column", exclude: [] } : raw;
  const conflict = typeof table.conflict === "string" ? { policy: table.conflict } : table.conflict;
  const place = checked(parseTableName(table.name));
  return {
    name: tableName(table.name),
    postgres: place,
    sqlite: table.sqlite_name ?? place.table,
    policy: conflict.policy,
    mergeColumns: conflict.columns ?? {},
    groups: conflict.groups ?? [],
    otherwise: conflict.otherwise ?? "parent_wins",
    module: conflict.module === undefined ? null : absolute(folder, conflict.module),
    detect: table.detect,
    exclude: table.exclude,
    filter: table.filter ?? null,
    idStride: table.ids?.stride ?? null,
  };
}

function resolveUse(use: TopologyFile["links"][number]["channels"][number]): TopologyLink["channels"][number] {
  return typeof use === "string"
    ? { name: channelName(use), direction: "both" }
    : { name: channelName(use.name), direction: use.direction };
}

function linkEnds(link: string): { parent: ReturnType<typeof nodeName>; child: ReturnType<typeof nodeName> } {
  const [parent = "", child = ""] = link.split("/");
  return { parent: nodeName(parent), child: nodeName(child) };
}

type RawNotifications = NonNullable<TopologyFile["notifications"]>;

function resolveNotifications(raw: RawNotifications, folder: string): NonNullable<Topology["notifications"]> {
  return {
    openConflicts: raw.open_conflicts,
    keepMs: checked(durationMs(raw.keep)),
    targets: raw.targets.map((target) => resolveTarget(target, folder)),
  };
}

function resolveTarget(target: RawNotifications["targets"][number], folder: string): NotificationTarget {
  const common = {
    name: target.name,
    events: target.events ?? NOTIFIED_EVENTS,
    timeoutMs: checked(durationMs(target.timeout)),
    limit: { messages: target.limit.messages, perMs: checked(durationMs(target.limit.per)) },
    body: target.body ?? null,
  };
  if (target.type === "webhook") {
    const { url, secret = null, authorization = null } = target;
    return { ...common, type: "webhook", url, secret, authorization };
  }
  const { user, password } = target;
  return {
    ...common,
    type: "email",
    server: checked(listenAddress(target.server)),
    tls: target.tls,
    ca: target.ca === undefined ? null : absolute(folder, target.ca),
    login: user === undefined || password === undefined ? null : { user, password },
    from: target.from,
    to: target.to,
    subject: target.subject ?? null,
  };
}

function resolveMedium({ key, trust }: NonNullable<TopologyFile["medium"]>, folder: string): NonNullable<Topology["medium"]> {
  return {
    key: key === undefined ? null : absolute(folder, key),
    trust: Object.fromEntries(Object.entries(trust).map(([node, file]) => [node, absolute(folder, file)])),
  };
}

function resolveHub(hub: NonNullable<TopologyFile["hub"]>, folder: string): Topology["hub"] {
  const { tls, trust_proxy: trustProxy = [], max_requests: maxRequests } = hub;
  const files = tls && {
    cert: absolute(folder, tls.cert),
    key: absolute(folder, tls.key),
    clientCa: tls.client_ca === undefined ? null : absolute(folder, tls.client_ca),
  };
  return { ...checked(listenAddress(hub.listen)), tls: files ?? null, trustProxy, maxRequests };
}

/** The schema let the text through, so it can be read; anything else is a mistake in the schema. */
function checked<T>(value: T | null): T {
  if (value === null) throw new Error("the schema of the topology accepts a value that can't be read");
  return value;
}
