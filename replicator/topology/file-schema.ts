import { z } from "zod";
import {
  cron,
  described,
  duration,
  filePath,
  linkName,
  listen,
  name,
  network,
  postgresUrl,
  secret,
  size,
  sqliteTableName,
  tableName,
  timeZone,
  words,
} from "./fields.ts";
import { notifications } from "./notification-schema.ts";

/**
 * The shape of a topology file, with what each key means. From here come the checks of a file's shape, the JSON Schema for
 * editors and the reference in docs/topology.md. Values stay as they are written (durations are text); `resolve.ts` turns
 * them into what the product works with.
 */

const idSlot = z
  .int()
  .min(0)
  .max(999_999)
  .optional()
  .meta({
    description:
      "Which numbers are this node's where a table says `ids: { stride }`: those that leave this remainder. Its place in `nodes`, the first being 0, where the file is silent; write it down where nodes come and go.",
    examples: [3],
  });

const postgresNode = z.strictObject({
  name: name({
    description:
      "The node's name: in links, commands, metrics and the conflict history. It stays with the database; renaming makes a new node.",
    examples: ["hub"],
  }),
  type: z.literal("postgres").meta({ description: "The database is a Postgres, 13 or newer." }),
  url: postgresUrl({
    description:
      "How to connect: `postgres://user@host:5432/database?sslmode=verify-full`. `embedded:./folder` is a Postgres of its own in that folder, for trying and developing.",
    examples: ["${HUB_URL}", "postgres://tombolo@db.example.com/shop", "embedded:./data/hub"],
  }),
  password: secret({
    description: "The password, where it is not in `url`. Here it needs no percent-encoding, whatever characters it has.",
    examples: ["${file:/run/secrets/hub_password}"],
  }).optional(),
  capture: z.enum(["trigger", "slot"]).default("trigger").meta({
    description: "How changes are captured: by triggers on the tables, or from a logical replication slot, which costs writers nothing.",
  }),
  id_slot: idSlot,
});

const sqliteNode = z.strictObject({
  name: name({ description: "The node's name: in links, commands, metrics and the conflict history.", examples: ["store-1"] }),
  type: z.literal("sqlite").meta({ description: "The database is a SQLite file that applications write with SQLite 3.38 or newer." }),
  path: filePath({ description: "The database file; a relative path starts at the topology's folder.", examples: ["./data/store-1.db"] }),
  id_slot: idSlot,
});

const policy = z.enum(["parent_wins", "child_wins", "newest_wins", "merge", "manual", "module"]);

const conflict = z.strictObject({
  policy: policy.meta({ description: "How conflicts are decided: see `conflict`." }),
  columns: z
    .record(words({ description: "A column of the table." }), z.enum(["text", "json", "set", "counter", "max", "min"]))
    .optional()
    .meta({
      description:
        "For `merge`: how each column is merged: `text` by line and word, `json` by object key and array edit, `set` as a set, `counter` by adding both sides' differences, `max` and `min` by taking the greater or the smaller.",
      examples: [{ note: "text", qty: "counter" }],
    }),
  groups: z
    .array(z.array(words({ description: "A column of the table." })).min(2))
    .optional()
    .meta({
      description: "Columns that belong together: an edit of one is an edit of all, and they are taken from one side.",
      examples: [[["city", "zip"]]],
    }),
  otherwise: z
    .enum(["parent_wins", "child_wins", "newest_wins", "manual"])
    .optional()
    .meta({ description: "For `merge` and `module`: what decides where they cannot. `parent_wins` where the file is silent." }),
  module: filePath({
    description: "For `module`: an ES module that decides; a relative path starts at the topology's folder.",
    examples: ["./decide-orders.js"],
  }).optional(),
});

const table = z.strictObject({
  name: tableName({
    description:
      "The table, as `schema.table` or `table` (which is `public.table`), written exactly as in the database. Parts with dots or spaces go in double quotes.",
    examples: ["shop.orders"],
  }),
  sqlite_name: sqliteTableName({
    description: "The table's name in SQLite nodes, where it is not the name without its schema.",
    examples: ["orders"],
  }).optional(),
  conflict: z
    .union([policy, conflict])
    .default("parent_wins")
    .meta({
      description:
        "What decides when a child's change meets a row that its parent has changed in the meantime: `parent_wins`, `child_wins`, `newest_wins` (the later change), `merge` (column by column), `manual` (a person), `module` (your code). A map gives the details of `merge` and `module`.",
      examples: ["newest_wins", { policy: "merge", columns: { note: "text" }, otherwise: "parent_wins" }],
    }),
  detect: z
    .enum(["column", "row"])
    .default("column")
    .meta({ description: "Whether edits of different columns of one row go together (`column`) or are a conflict (`row`)." }),
  exclude: z
    .array(words({ description: "A column of the table." }))
    .default([])
    .meta({
      description:
        "Columns that stay at home: each node keeps its own values, rows that come in leave them alone, new ones get their default. A node may lack them. Not columns of the key, and where rows come in, only ones with a default or that take NULL.",
      examples: [["internal_note"]],
    }),
  filter: words({
    description: "Which rows travel: a condition in SQL. A `:name` in it is a parameter that each link gives in `params`.",
    examples: ["region = :region"],
  }).optional(),
  ids: z
    .strictObject({
      stride: z
        .int()
        .min(2)
        .max(1_000_000)
        .meta({
          description: "How far apart two ids of one node are: at least the number of nodes, with room for those to come.",
          examples: [100],
        }),
    })
    .optional()
    .meta({
      description:
        "Gives each Postgres node numbers of its own for new rows, so that two nodes never use the same id: `apply` alters the sequence behind the key. Rowids of SQLite cannot be set apart.",
    }),
});

const channel = z.strictObject({
  name: name({ description: "The channel's name.", examples: ["sales"] }),
  priority: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(100)
    .meta({ description: "Channels with a lower number travel first.", examples: [10] }),
  tables: z
    .array(z.union([tableName({ description: "A table with everything at its default.", examples: ["shop.prices"] }), table]))
    .min(1)
    .meta({
      description:
        "The tables that travel together. A table is in one channel only; an item that is just a name has everything else at its default.",
    }),
});

const direction = z.enum(["both", "down", "up"]);
const linkChannels = z
  .array(
    z.union([
      name({ description: "A channel, both ways.", examples: ["sales"] }),
      z.strictObject({
        name: name({ description: "A channel of `channels`.", examples: ["sales"] }),
        direction: direction.default("both").meta({ description: "`both` ways, only `down` from the parent to the child, or only `up`." }),
      }),
    ]),
  )
  .min(1)
  .meta({
    description: "The channels that travel here; an item that is just a name goes both ways.",
    examples: [[{ name: "sales", direction: "both" }]],
  });

const PARAMETER = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

const link = z.strictObject({
  parent: name({ description: "The node above, which decides conflicts.", examples: ["hub"] }),
  child: name({ description: "The node below. Every node but the hub is the child of exactly one link.", examples: ["store-1"] }),
  params: z
    .record(PARAMETER, z.string())
    .default({})
    .meta({
      description: "Values for the `:names` in the filters of the tables that travel here; always text.",
      examples: [{ region: "north" }],
    }),
  channels: linkChannels,
  transport: z.enum(["direct", "file"]).default("direct").meta({
    description:
      "`direct`: the replicator reaches both databases. `file`: changes travel on files, by `tombolo export` and `tombolo import`; `run` and `sync` leave the link alone.",
  }),
});

const group = z.strictObject({
  name: name({ description: "The group's name.", examples: ["stores"] }),
  parent: name({ description: "The node that the group's edges are children of.", examples: ["hub"] }),
  channels: linkChannels,
  params: z
    .array(PARAMETER)
    .default([])
    .meta({ description: "Parameters of filters that are given when an edge enrols, and fixed in its token.", examples: [["region"]] }),
});

const reconcile = z.strictObject({
  name: name({ description: "The schedule's name, in metrics and run records.", examples: ["nightly"] }),
  cron: cron({
    description: "When: minute, hour, day of month, month, weekday; a sixth field in front is seconds.",
    examples: ["0 3 * * *"],
  }),
  timezone: timeZone({ description: "The time zone of `cron`.", examples: ["UTC", "Europe/Berlin"] }).default("UTC"),
  links: z
    .union([z.literal("all"), z.array(linkName({ description: "One link.", examples: ["hub/store-1"] })).min(1)])
    .default("all")
    .meta({ description: "Which links are compared: `all`, or a list of PARENT/CHILD." }),
  repair: z
    .enum(["report", "parent", "newest"])
    .default("report")
    .meta({ description: "What is done about a difference: it is only reported, the parent's row is taken, or the newest." }),
  scope: z.enum(["all", "changed"]).default("all").meta({
    description:
      "All rows, or those that have changed since they were last compared. `changed` needs a schedule of `all` beside it now and then.",
  }),
  pace: z.int().min(1).max(100).default(100).meta({
    description:
      "Per cent of the time that the databases are asked something; in between they are left to the applications. Of links that are reached directly.",
  }),
});

const batch = z.strictObject({
  max_rows: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(5000)
    .meta({ description: "A batch holds at most this many changes (a single transaction is never cut, only streamed)." }),
  max_bytes: size({ description: "A batch is at most this big before compression.", examples: ["4MiB"] }, "1KiB").default("4MiB"),
  max_wait: duration({ description: "A change waits at most this long for others to travel with.", examples: ["50ms"] }, "0ms").default(
    "50ms",
  ),
  compression: z
    .enum(["gzip", "zstd", "none"])
    .default("gzip")
    .meta({ description: "How batches are compressed. `zstd` needs Node 22.15 or newer on all sides." }),
});

const retry = z.strictObject({
  initial: duration({ description: "The first wait after a failure.", examples: ["1s"] }, "1ms").default("1s"),
  factor: z.number().min(1).max(100).default(2).meta({ description: "Each wait is this many times the one before." }),
  max: duration({ description: "No wait is longer.", examples: ["32s"] }, "1ms").default("32s"),
  jitter: z.boolean().default(true).meta({ description: "Waits are spread at random, so that many links do not come back at once." }),
});

const log = z.strictObject({
  keep: duration(
    { description: "How long changes are kept for a node that does not fetch them; after that it must be synced anew.", examples: ["7d"] },
    "1m",
  ).default("7d"),
  max_size: size(
    { description: "How large a change log may become before the slowest readers are given up.", examples: ["10GiB"] },
    "1MiB",
  ).default("10GiB"),
});

const history = z.strictObject({
  keep: duration(
    { description: "How long resolved conflicts stay in the conflict history. Open ones stay.", examples: ["90d"] },
    "1m",
  ).default("90d"),
});

const metrics = z.strictObject({
  listen: listen({
    description: "Where `/metrics`, `/healthz`, `/readyz` and `/status` are served.",
    examples: ["127.0.0.1:9187"],
  }).default("127.0.0.1:9187"),
});

const hub = z.strictObject({
  listen: listen({ description: "Where edges and operators reach the hub.", examples: ["127.0.0.1:7443"] }).default("127.0.0.1:7443"),
  tls: z
    .strictObject({
      cert: filePath({ description: "The certificate chain, PEM.", examples: ["./tls/hub.crt"] }),
      key: filePath({ description: "Its private key, PEM.", examples: ["./tls/hub.key"] }),
      client_ca: filePath({
        description: "Takes only clients with a certificate of this authority (PEM), besides their token: mutual TLS.",
        examples: ["./tls/clients.crt"],
      }).optional(),
    })
    .optional()
    .meta({
      description: "Serves HTTPS. Without it the hub serves plain HTTP, and only on this machine or to the proxies of `trust_proxy`.",
    }),
  trust_proxy: z
    .array(network({ description: "An address, or a network.", examples: ["10.0.0.7", "10.1.0.0/16"] }))
    .min(1)
    .optional()
    .meta({
      description:
        "Proxies in front of the hub, by address or network: their `X-Forwarded-For` is believed, and where the hub has no `tls`, they and this machine are the only ones that it talks to. The proxy adds TLS.",
      examples: [["10.0.0.7"]],
    }),
  max_requests: z.int().min(1).max(10_000_000).default(6000).meta({
    description: "Requests a minute that one token (or, without one, one address) may make of one process; more are answered with 429.",
  }),
});

const medium = z.strictObject({
  key: filePath({
    description: "The Ed25519 private key (PEM) that signs what is exported here; `tombolo keys create` makes one.",
    examples: ["./store-1.key"],
  }).optional(),
  trust: z
    .record(
      name({ description: "A node.", examples: ["hub"] }),
      filePath({ description: "Its public key, PEM.", examples: ["./hub.key.pub"] }),
    )
    .default({})
    .meta({ description: "Whose files are imported here: nodes and their public keys.", examples: [{ hub: "./hub.key.pub" }] }),
});

export const topologyFile = z
  .strictObject({
    version: z.literal(1).meta({ description: "The version of this format." }),
    name: name({ description: "The topology's name.", examples: ["retail"] }),
    nodes: z
      .array(z.discriminatedUnion("type", [postgresNode, sqliteNode]))
      .min(1)
      .meta({ description: "The databases." }),
    channels: z.array(channel).min(1).meta({ description: "Sets of tables that travel together." }),
    links: z
      .array(link)
      .default([])
      .meta({ description: "Who is joined to whom. The links make a tree; the node without a parent is the hub." }),
    groups: z.array(group).default([]).meta({ description: "Many alike edges that reach the hub over HTTP; each enrols itself." }),
    batch: batch.prefault({}).meta({ description: "How changes are packed." }),
    retry: retry.prefault({}).meta({ description: "How a link comes back after a failure." }),
    log: log.prefault({}).meta({ description: "How long changes are kept for readers that are away." }),
    history: history.prefault({}).meta({ description: "How long the conflict history reaches back." }),
    reconcile: z.array(reconcile).default([]).meta({ description: "When nodes are compared, and what is done about differences." }),
    metrics: z
      .union([metrics, z.literal(false), z.literal("off")])
      .prefault({})
      .meta({ description: "Where metrics and health are served; `off` serves none." }),
    notifications: notifications.optional().meta({ description: "Who is told of what, by webhook or mail; see docs/notifications.md." }),
    medium: medium.optional().meta({ description: "Keys for links that travel on files." }),
    hub: hub.optional().meta({ description: "Serves the hub's HTTP interface to edges and operators." }),
    ddl: z
      .enum(["add_columns"])
      .optional()
      .meta({ description: "Which changes of tables are carried over to other nodes: `add_columns` carries added columns." }),
  })
  .meta({
    title: "Tombolo topology",
    ...described({ description: "Which databases are kept in step, what travels between them, and how." }),
  });

/** A file that passed: defaults filled in, values still as written. */
export type TopologyFile = z.output<typeof topologyFile>;
