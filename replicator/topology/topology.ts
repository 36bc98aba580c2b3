import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { ConflictRule } from "../change/verdict.ts";
import type { NotifiedEvent } from "./notification-fields.ts";

/**
 * A topology after reading, interpolating, checking and filling in the defaults: what the rest of the product works with.
 * Durations are milliseconds, sizes are bytes.
 */
export interface Topology {
  readonly name: string;
  /** Absolute path of the file; relative paths in it were resolved against its folder. */
  readonly file: string;
  readonly nodes: readonly TopologyNode[];
  readonly channels: readonly TopologyChannel[];
  /** A tree: every node but the hub is the child of exactly one link. */
  readonly links: readonly TopologyLink[];
  readonly groups: readonly TopologyGroup[];
  readonly batch: {
    readonly maxRows: number;
    readonly maxBytes: number;
    readonly maxWaitMs: number;
    readonly compression: "gzip" | "zstd" | "none";
  };
  readonly retry: { readonly initialMs: number; readonly factor: number; readonly maxMs: number; readonly jitter: boolean };
  readonly log: { readonly keepMs: number; readonly maxSizeBytes: number };
  readonly history: { readonly keepMs: number };
  readonly reconcile: readonly TopologyReconcile[];
  readonly metrics: { readonly host: string; readonly port: number } | null;
  /** Missing where the file is silent: nobody is told. */
  readonly notifications?: TopologyNotifications;
  /** Absolute paths of PEM files; missing where the file is silent. */
  readonly medium?: { readonly key: string | null; readonly trust: { readonly [node: string]: string } };
  readonly hub: {
    readonly host: string;
    readonly port: number;
    /** Absolute paths of PEM files. */
    readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | null } | null;
    /** Addresses and networks (CIDR). */
    readonly trustProxy: readonly string[];
    /** A minute, of one caller. */
    readonly maxRequests: number;
  } | null;
  /** Columns that a parent's table gets are added to its children's. */
  readonly addsColumns: boolean;
}

export type TopologyNode = PostgresNodeConfig | SqliteNodeConfig;

export interface PostgresNodeConfig {
  readonly name: NodeName;
  readonly type: "postgres";
  /** A connection URL with its secrets, or `embedded:/absolute/dir`. Never print it: use `redact`. */
  readonly url: string;
  readonly capture: "trigger" | "slot";
  /** `id_slot`; its place among the nodes where it is missing. */
  readonly idSlot?: number;
}

export interface SqliteNodeConfig {
  readonly name: NodeName;
  readonly type: "sqlite";
  /** Absolute. */
  readonly path: string;
  /** `id_slot`; its place among the nodes where it is missing. */
  readonly idSlot?: number;
}

export interface TopologyTable extends ConflictRule {
  /** As written, e.g. `shop.orders`; without a schema it is `public` in Postgres. */
  readonly name: TableName;
  readonly postgres: { readonly schema: string; readonly table: string };
  readonly sqlite: string;
  readonly exclude: readonly string[];
  readonly filter: string | null;
  /** `ids: { stride }`; null where each node makes its ids as it likes. */
  readonly idStride: number | null;
}

export interface TopologyChannel {
  readonly name: ChannelName;
  /** Lower travels first; 100 where the file is silent. */
  readonly priority: number;
  readonly tables: readonly TopologyTable[];
}

export type Direction = "both" | "down" | "up";

export interface TopologyLink {
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly params: { readonly [name: string]: string };
  readonly channels: readonly { readonly name: ChannelName; readonly direction: Direction }[];
  /** Missing where the replicator reaches both ends. */
  readonly transport?: "file";
}

export interface TopologyGroup {
  readonly name: string;
  readonly parent: NodeName;
  readonly channels: readonly { readonly name: ChannelName; readonly direction: Direction }[];
  readonly params: readonly string[];
}

export interface TopologyReconcile {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly links: "all" | readonly { readonly parent: NodeName; readonly child: NodeName }[];
  readonly repair: "report" | "parent" | "newest";
  /** All rows, or those that have changed since they were last compared. */
  readonly scope: "all" | "changed";
  /** Per cent of the time that the databases are asked something; all of it where it is missing. */
  readonly pace?: number;
}

export interface TopologyNotifications {
  /** More of a node are told. */
  readonly openConflicts: number;
  /** How long a message is tried. */
  readonly keepMs: number;
  readonly targets: readonly NotificationTarget[];
}

export type NotificationTarget = WebhookTarget | EmailTarget;

interface CommonTarget {
  readonly name: string;
  readonly events: readonly NotifiedEvent[];
  readonly timeoutMs: number;
  readonly limit: { readonly messages: number; readonly perMs: number };
  /** A template; null for what is sent without one. */
  readonly body: string | null;
}

/** `url`, `secret` and `authorization` are secrets. */
export interface WebhookTarget extends CommonTarget {
  readonly type: "webhook";
  readonly url: string;
  readonly secret: string | null;
  readonly authorization: string | null;
}

export interface EmailTarget extends CommonTarget {
  readonly type: "email";
  readonly server: { readonly host: string; readonly port: number };
  readonly tls: "starttls" | "implicit" | "none";
  /** Absolute path of a PEM file. */
  readonly ca: string | null;
  readonly login: { readonly user: string; readonly password: string } | null;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string | null;
}

/** One problem in a topology file. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
