/** A guard of the product, how it is taken out, and the test that must fail then. */
export interface Guard {
  readonly name: string;
  /** Of docs/promises.md. */
  readonly hazards: readonly string[];
  /** What the product does then. */
  readonly without: string;
  /** In the sources; each `from` stands there once. */
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[];
  /** `title`: a piece of the names of the tests that are run; `file`: below test/. */
  readonly test: { readonly file: string; readonly title: string };
  /** The test runs the built command, so that the guard is taken out of a build of its own. */
  readonly built?: true;
  /** The test's short run is too short to be sure to find it. */
  readonly long?: true;
}

/** The mistakes that other replicators are known for: the short run tries these. */
export const KNOWN_MISTAKES: readonly Guard[] = [
  {
    name: "one byte too far",
    hazards: ["B3"],
    without: "acknowledges the byte behind the end of the last commit",
    edits: [
      {
        file: "replicator/node/postgres/slot/replication-protocol.ts",
        from: "bytes.writeBigUInt64BE(status.flushed, 9);",
        to: "bytes.writeBigUInt64BE(status.flushed + 1n, 9);",
      },
    ],
    test: { file: "slot/stream.test.ts", title: "what is acknowledged is the exact end of what is durable in the log" },
  },
  {
    name: "received is acknowledged",
    hazards: ["B1", "B2"],
    without: "acknowledges to a slot what has come, and is not in the log yet",
    edits: [
      {
        file: "replicator/node/postgres/slot/stream.ts",
        from: "flushed: this.#flushed });",
        to: "flushed: later(this.#received, this.#flushed) });",
      },
    ],
    test: {
      file: "slot/stream.test.ts",
      title: "a connection that is cut again and again, under writes, loses nothing and repeats nothing",
    },
  },
  {
    name: "watermark",
    hazards: ["A1", "E2", "E3"],
    without: "reads what was numbered between two ticks, and not what became visible",
    edits: [
      {
        file: "replicator/node/postgres/read.ts",
        from: `where ((c.xid >= $1::xid8 and c.xid < $2::xid8) or c.xid = any ($3::xid8[]))
         and pg_visible_in_snapshot(c.xid, $4::pg_snapshot)`,
        to: "where c.seq > $1::bigint and c.seq <= $2::bigint and $3::xid8[] is not null and $4::pg_snapshot is not null",
      },
      {
        file: "replicator/node/postgres/read.ts",
        from: "const first = [window.from.toString(), window.to.toString(), ",
        to: "const first = [String(after?.seqHigh ?? 0n), String(upTo.seqHigh), ",
      },
    ],
    test: { file: "postgres/read-window.test.ts", title: "whatever the interleaving of transactions" },
  },
  {
    name: "gap timer",
    hazards: ["A2", "A4"],
    without: "gives up, at a tick, the transactions that are open, as a timer would",
    edits: [
      { file: "replicator/node/postgres/read.ts", from: '{${window.finished.join(",")}}', to: "{}" },
      { file: "replicator/node/postgres/read.ts", from: '{${open.join(",")}}', to: "{}" },
    ],
    test: { file: "link/hard-cases.test.ts", title: "a transaction held open across many batches arrives whole when it commits" },
  },
  {
    name: "sent before it is sealed",
    hazards: ["A6", "D20"],
    without: "sends what a crash of the server can take back",
    edits: [{ file: "replicator/node/postgres/connection.ts", from: 'synchronous_commit: "on",', to: 'synchronous_commit: "off",' }],
    test: { file: "e2e/durability.test.ts", title: "commits that a crash of the hub takes back were never sent" },
    built: true,
    long: true,
  },
  {
    name: "XOR",
    hazards: ["H1", "H8"],
    without: "combines the digests of rows by XOR, so that two of a kind cancel each other",
    edits: [
      {
        file: "replicator/change/row-digest.ts",
        from: "this.#parts[part] = (this.#parts[part] as number) + Number.parseInt(",
        to: "this.#parts[part] = (this.#parts[part] as number) ^ Number.parseInt(",
      },
    ],
    test: { file: "reconcile/digest-compare.test.ts", title: "digests of many rows tell every order, every repetition and every absence" },
  },
];

export const OTHER_GUARDS: readonly Guard[] = [
  {
    name: "applied again",
    hazards: ["D16", "D24", "F1", "F16"],
    without: "applies whatever packet comes",
    edits: [
      {
        file: "replicator/node/exactly-once.ts",
        from: "if (header.number === last.number + 1n && header.previous === last.digest) return null;",
        to: "return null;",
      },
    ],
    test: { file: "sqlite/apply.test.ts", title: "a packet is applied exactly once, whatever is sent again" },
  },
  {
    name: "fork",
    hazards: ["F4", "D18"],
    without: "takes another packet of a number for a repetition",
    edits: [
      {
        file: "replicator/node/exactly-once.ts",
        from: "if (packet.digest() === last.digest) return",
        to: 'if (packet.digest() !== "") return',
      },
    ],
    test: { file: "hub/edge-attacks.test.ts", title: "another one of that number is a fork, a later one a gap" },
  },
  {
    name: "packet digest",
    hazards: ["F6"],
    without: "does not compare what it has read with a packet's digest",
    edits: [{ file: "replicator/change/packet-codec.ts", from: "if (last.digest !== digest) throw wrongDigest();", to: "" }],
    test: { file: "unit/packet.test.ts", title: "a packet with more or fewer changes than it says, or other ones, is refused" },
  },
  {
    name: "expansion",
    hazards: ["F7"],
    without: "believes whatever size a packet says that it grows to",
    edits: [
      {
        file: "replicator/change/packet-frame.ts",
        from: "if (rawLength > length * limits.ratio) throw",
        to: "if (rawLength > length * 1e9) throw",
      },
    ],
    test: { file: "unit/packet.test.ts", title: "what would not fit is refused before it is made" },
  },
  {
    name: "two parsers",
    hazards: ["F9"],
    without: "takes rows that name a column twice",
    edits: [
      {
        file: "replicator/change/packet-rows.ts",
        from: "if (seen.names !== values.length + wrapped.length) throw",
        to: "if (seen.names < 0) throw",
      },
    ],
    test: { file: "unit/packet.test.ts", title: "a row that two JSON parsers could read differently is refused" },
  },
  {
    name: "echo",
    hazards: ["D1"],
    without: "gives a child back what it sent",
    edits: [
      {
        file: "replicator/node/postgres/shared-reads.ts",
        from: "(target === null ? origin !== reader : target === reader)",
        to: "(target === null ? origin !== -1 : target === reader)",
      },
    ],
    test: { file: "link/shared-batch.test.ts", title: "a child does not get back what it sent" },
  },
  {
    name: "scope",
    hazards: ["F12"],
    without: "lets a child write a row that is not its own",
    edits: [
      {
        file: "replicator/node/postgres/row-scope.ts",
        from: "if (parent !== null && !(await admits(table, parent))) return outOfScope(clash);",
        to: "",
      },
    ],
    test: { file: "link/scope-attacks.test.ts", title: "the rows of others stay as they are" },
  },
  {
    name: "deletions of a repair",
    hazards: ["H7"],
    without: "repairs however many rows go",
    edits: [
      {
        file: "replicator/reconcile/delete-guard.ts",
        from: "if (maxRows === null || deletes === 0) return;",
        to: "if (maxRows !== -1) return;",
      },
    ],
    test: { file: "reconcile/repair.test.ts", title: "more deletions than the guard lets through stop the repair" },
  },
  {
    name: "deletions of a push",
    hazards: ["H7"],
    without: "takes over from a child however many rows go",
    edits: [
      {
        file: "replicator/full-sync/push-guard.ts",
        from: "if (mayRemove !== null && removed <= mayRemove) continue;",
        to: "if (removed >= 0) continue;",
      },
    ],
    test: { file: "edge/push.test.ts", title: "is not emptied by an edge that was" },
  },
  {
    name: "replica role",
    hazards: ["A17"],
    without: "installs triggers that rest where a session is a replica",
    edits: [
      {
        file: "replicator/node/postgres/capture.ts",
        from: "enable always trigger ${ident(trigger)};",
        to: "enable trigger ${ident(trigger)};",
      },
    ],
    test: { file: "postgres/capture.test.ts", title: "capture fires under session_replication_role" },
  },
  {
    name: "rows that REPLACE deletes",
    hazards: ["C1", "C2", "C23"],
    without: "does not look at the rows that a REPLACE may delete",
    edits: [{ file: "replicator/node/sqlite/capture.ts", from: "if (collisions.length > 0) {", to: "if (collisions.length > 99) {" }],
    test: { file: "sqlite/capture-fuzz.test.ts", title: "what is read, cut anywhere, replays to the very rows of the tables" },
  },
  {
    name: "large integers",
    hazards: ["C13", "G1"],
    without: "reads integers of SQLite as numbers of JavaScript",
    edits: [{ file: "replicator/node/sqlite/connection.ts", from: "connection.defaultSafeIntegers();", to: "" }],
    test: { file: "sqlite/values.test.ts", title: "keys at both ends of 64 bits" },
  },
  {
    name: "verdict on its way",
    hazards: ["D22"],
    without: "lets the parent overwrite what it has not judged yet",
    edits: [
      {
        file: "replicator/node/postgres/from-parent.ts",
        from: ".filter(([name]) => !pending.columns.has(name))",
        to: ".filter(() => true)",
      },
    ],
    test: { file: "link/obey.test.ts", title: "columns that it has changed since wait for the verdict, the others follow at once" },
  },
  {
    name: "another slot of the name",
    hazards: ["B13"],
    without: "goes on from a slot that someone has moved",
    edits: [
      {
        file: "replicator/node/postgres/slot/slot-state.ts",
        from: "if (server.confirmed !== null && parseLsn(server.confirmed) > state.cursor) {",
        to: 'if (server.confirmed === "") {',
      },
    ],
    test: { file: "slot/stream.test.ts", title: "a slot that was moved on is never gone on from" },
  },
  {
    name: "another cluster",
    hazards: ["A7", "B14"],
    without: "goes on from a slot of another cluster",
    edits: [{ file: "replicator/node/postgres/slot/slot-state.ts", from: "state.system !== now.system", to: 'state.system === ""' }],
    test: { file: "slot/stream.test.ts", title: "a slot that was left behind in another cluster is never gone on from" },
  },
  {
    name: "copied database",
    hazards: ["A7", "D18"],
    without: "takes a copy of a database for the original",
    edits: [
      {
        file: "replicator/node/postgres/identity.ts",
        from: "const copied = moved || database !== databaseNow;",
        to: "const copied = moved && database !== databaseNow;",
      },
    ],
    test: { file: "postgres/install.test.ts", title: "a copy of the database is noticed" },
  },
  {
    name: "restored schema",
    hazards: ["H17"],
    without: "takes a restored schema tombolo for the one that it wrote",
    edits: [{ file: "replicator/node/postgres/identity.ts", from: 'if (copied || restored === "t") {', to: "if (copied) {" }],
    test: { file: "full-sync/resync.test.ts", title: "whose schema tombolo alone was restored" },
  },
  {
    name: "values of the session",
    hazards: ["B27", "G5"],
    without: "prints values as a role has set it",
    edits: [{ file: "replicator/node/postgres/connection.ts", from: 'datestyle: "ISO, YMD",', to: "" }],
    test: { file: "postgres/connection.test.ts", title: "sessions are the same whatever database and role say" },
  },
  {
    name: "dropped settings",
    hazards: ["B32"],
    without: "works through a pooler that drops the settings of its sessions",
    edits: [{ file: "replicator/node/postgres/connection.ts", from: 'if (rows[0]?.pinned !== "t") {', to: "if (rows[0] === undefined) {" }],
    test: { file: "postgres/connection.test.ts", title: "a pooler that is to ignore the settings of a session is told" },
  },
  {
    name: "one call for a statement",
    hazards: ["A24"],
    without: "captures by row",
    edits: [
      {
        file: "replicator/node/postgres/shape.ts",
        from: 'relation.kind === "p" || relation.subscribed;',
        to: 'relation.kind !== "f" || relation.subscribed;',
      },
    ],
    test: { file: "postgres/capture.test.ts", title: "however many rows a statement changes, one call logs them" },
  },
  {
    name: "fold",
    hazards: ["D36"],
    without: "moves changes across a truncate",
    edits: [{ file: "replicator/change/fold.ts", from: "      out.push(change);\n      places = [];", to: "      out.push(change);" }],
    test: {
      file: "unit/fold.test.ts",
      title: "a truncate drops what was before it in its table, stays where it was, and nothing moves across it",
    },
  },
  {
    name: "flushed commits",
    hazards: ["C14"],
    without: "does not flush what it commits to SQLite, and what the application committed before",
    edits: [
      {
        file: "replicator/node/sqlite/connection.ts",
        from: 'connection.pragma("synchronous = full");',
        to: 'connection.pragma("synchronous = normal");',
      },
    ],
    test: { file: "sqlite/beside.test.ts", title: "a tick flushes the application's commits with its own" },
  },
  {
    name: "a packet is read first",
    hazards: ["C17"],
    without: "holds the write lock of a SQLite file while the changes of a packet are still coming",
    edits: [
      { file: "replicator/node/sqlite/apply.ts", from: "while (!done && bytes < READ_FIRST_BYTES) {", to: "while (!done && bytes < 0) {" },
    ],
    test: { file: "sqlite/beside.test.ts", title: "while the changes of a packet are still coming" },
  },
  {
    name: "turns between parts",
    hazards: ["C17", "B36"],
    without: "applies a whole packet to SQLite in one go",
    edits: [{ file: "replicator/node/sqlite/apply.ts", from: "if (at > 0) await breathe();", to: "" }],
    test: { file: "sqlite/beside.test.ts", title: "between two parts of a packet everything else in the process has its turn" },
  },
  {
    name: "smaller parts",
    hazards: ["C17"],
    without: "goes on with parts that take too long",
    edits: [
      {
        file: "replicator/link/pace.ts",
        from: "if (ms > TOO_LONG * this.#targetMs && this.rows > 1 && this.#halvings < MOST_HALVINGS) this.#halvings += 1;",
        to: "if (ms < 0) this.#halvings += 1;",
      },
    ],
    test: { file: "unit/link-pace.test.ts", title: "parts that take too long are followed by smaller ones" },
  },
  {
    name: "short reads",
    hazards: ["C18"],
    without: "reads in one transaction that goes on while the reader waits",
    edits: [
      {
        file: "replicator/node/sqlite/connection.ts",
        from: "return read(work as (connection: Connection) => unknown) as T;",
        to: 'const reader = this.connect(); reader.exec("begin"); return work(reader);',
      },
    ],
    test: { file: "sqlite/beside.test.ts", title: "whoever reads the log slowly does not keep a checkpoint" },
  },
  {
    name: "handed on is confirmed",
    hazards: ["A36", "F1"],
    without: "purges what was handed on to a node out of reach, before it has said that it has it",
    edits: [
      {
        file: "replicator/link/acknowledging.ts",
        from: "target.relayed?.confirmed() ?? (await read())",
        to: "await read()",
      },
    ],
    test: { file: "medium/travel.test.ts", title: "the log keeps what no answer has confirmed" },
  },
];

export const GUARDS: readonly Guard[] = [...KNOWN_MISTAKES, ...OTHER_GUARDS];
