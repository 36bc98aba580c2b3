import { byPlace, EDGE_OPTIONS } from "./edge-options.ts";
import type { Verb, VerbOption } from "./verb.ts";

const NODE_OPTION: VerbOption = { flags: "--node <name...>", description: "only these nodes (default: all)" };
const PASSPHRASE_OPTION: VerbOption = {
  flags: "--passphrase-file <file>",
  description: "holds the passphrase by which files are encrypted (or TOMBOLO_PASSPHRASE)",
};

/** What is done for nodes that are far: the hub's service and who may use it, edges, changes on files; and cleaning up. */
export const farVerbs: readonly Verb[] = [
  {
    name: "serve",
    summary: "serve the hub to edges and operators over HTTP, without replicating; `run` serves it as well, and several may",
    examples: ["tombolo serve", "tombolo -c /etc/tombolo/topology.yaml serve --log-format json"],
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "notify",
    summary: "show what waits for those whom the topology's `notifications` name, or send them a test",
    options: [
      { flags: "--test", description: "send each a test message now, and say whether it was taken" },
      { flags: "--target <name>", description: "only this one (default: all)" },
    ],
    examples: ["tombolo notify", "tombolo notify --test", "tombolo notify --test --target night-shift"],
    load: async () => (await import("./notify.ts")).notify,
  },
  {
    name: "tokens create",
    summary: "make a token for a person or a script, or a one-time enrolment code for an edge; it is shown once",
    options: [
      { flags: "--role <role>", description: "node (an edge), viewer (reads), operator (acts), admin (also makes tokens)" },
      { flags: "--name <name>", description: "what it is for (default: the node, or the role)" },
      { flags: "--node <name>", description: "of an edge: its name" },
      { flags: "--group <name>", description: "of an edge: its group in the topology" },
      { flags: "--param <name=value>", description: "of an edge: a parameter of its group", repeatable: true },
      { flags: "--expires <duration>", description: "how long the token lives, or never", default: "365d" },
      { flags: "--code-expires <duration>", description: "how long an enrolment code may be used", default: "1d" },
      { flags: "--by <name>", description: "who makes it (default: the user of the operating system)" },
    ],
    examples: [
      "tombolo tokens create --role node --group stores --node store-7 --param region=north",
      "tombolo tokens create --role viewer --name dashboards --expires 30d",
      "TOKEN=$(tombolo tokens create --role operator --name 'night shift')",
    ],
    load: async () => (await import("./tokens.ts")).tokensCreate,
  },
  {
    name: "tokens list",
    summary: "list tokens and enrolment codes, newest first; never their secrets",
    options: [
      { flags: "--all", description: "also those that have expired, were revoked or redeemed" },
      { flags: "--node <name>", description: "only those of this edge" },
      { flags: "--role <role>", description: "only those of this role" },
      { flags: "--limit <count>", description: "at most so many", default: "100" },
    ],
    examples: [
      "tombolo tokens list",
      "tombolo tokens list --all --node store-7",
      "tombolo tokens list --json | jq '.tokens[] | {name, expires_at}'",
    ],
    load: async () => (await import("./tokens.ts")).tokensList,
  },
  {
    name: "tokens rotate",
    summary: "make a token in the place of another one, which goes on working for a while",
    arguments: "<id>",
    options: [
      { flags: "--grace <duration>", description: "how long the old one still works", default: "1h" },
      { flags: "--by <name>", description: "who does it (default: the user of the operating system)" },
    ],
    examples: ["tombolo tokens rotate 12", "tombolo tokens rotate 12 --grace 5m"],
    load: async () => (await import("./tokens.ts")).tokensRotate,
  },
  {
    name: "tokens revoke",
    summary: "end tokens at once, with all that came of them by rotation or enrolment",
    arguments: "[id...]",
    options: [
      { flags: "--node <name>", description: "all of this edge" },
      { flags: "--by <name>", description: "who does it (default: the user of the operating system)" },
    ],
    examples: ["tombolo tokens revoke 12", "tombolo tokens revoke --node store-7 --by ann"],
    load: async () => (await import("./tokens.ts")).tokensRevoke,
  },
  {
    name: "edge",
    summary: "the agent beside a database that reaches its hub over HTTP; enrols at the first start, works offline",
    options: [
      { flags: "--database <file>", description: "a SQLite file, or the URL of a Postgres" },
      { flags: "--hub <url>", description: "the hub's address; for enrolling" },
      { flags: "--code <code>", description: "the one-time code of the hub's operator; for enrolling" },
      { flags: "--ca <file>", description: "PEM file of the certificates that the hub's is checked by; for enrolling" },
      { flags: "--credential <file>", description: "where the token is kept (default: beside the SQLite file)" },
      { flags: "--interval <duration>", description: "ask the hub at least this often", default: "60s" },
    ],
    examples: [
      "tombolo edge --database ./shop.db --hub https://hub.example.com:7443 --code tbc_…   # the first start",
      "tombolo edge --database ./shop.db",
      "tombolo -c edge.yaml edge",
    ],
    load: async () => (await import("./edge.ts")).edge,
  },
  {
    name: "keys create",
    summary: "make a pair of keys: one signs the files that are exported here, the other is for those who import them",
    arguments: "<file>",
    examples: ["tombolo keys create store-1.key"],
    load: async () => (await import("./keys.ts")).keysCreate,
  },
  {
    name: "export",
    summary: "write a file with the changes that the other end of a link does not have yet, and the receipt for its own",
    arguments: "<file>",
    options: [
      { flags: "--from <node>", description: "whose changes; its database is reached from here" },
      { flags: "--to <node>", description: "the other end of the link" },
      { flags: "--again", description: "what was exported since the other end last spoke is lost" },
      { flags: "--key <file>", description: "of an edge: its private key, which signs the file (else medium.key of the topology)" },
      PASSPHRASE_OPTION,
      ...EDGE_OPTIONS,
    ],
    examples: [
      "tombolo export /media/stick/store-1.medium --from store-1 --to hub",
      "tombolo export out.medium --from store-1 --to hub --passphrase-file ~/.tombolo-passphrase",
      "tombolo export out.medium --from hub --to store-1 --again",
      "tombolo export out.medium --database ./shop.db --key ./shop.key",
    ],
    load: async () => byPlace((await import("./export.ts")).exportVerb, async () => (await import("./edge-media.ts")).exportEdge),
  },
  {
    name: "import",
    summary: "take what files bring that were exported elsewhere; several in any order",
    arguments: "<file...>",
    options: [
      { flags: "--trust <file>", description: "of an edge: the hub's public key (else medium.trust of the topology)" },
      PASSPHRASE_OPTION,
      ...EDGE_OPTIONS,
    ],
    examples: [
      "tombolo import /media/stick/*.medium",
      "tombolo import a.medium b.medium --json",
      "tombolo import back.medium --database ./shop.db --trust ./hub.key.pub",
    ],
    load: async () => byPlace((await import("./import.ts")).importVerb, async () => (await import("./edge-media.ts")).importEdge),
  },
  {
    name: "purge",
    summary: "remove from the change logs at once what no reader needs any more; else it happens by itself, little by little",
    options: [NODE_OPTION, { flags: "--by <name>", description: "who does it (default: the user of the operating system)" }],
    examples: ["tombolo purge", "tombolo purge --node hub"],
    load: async () => (await import("./purge.ts")).purge,
  },
];
