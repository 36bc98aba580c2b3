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
  {
    name: "rebuilt table",
    hazards: ["C6", "C7"],
    without: "does not look whether the triggers of a SQLite table are there",
    edits: [{ file: "replicator/node/sqlite/verify.ts", from: "if (missing.length > 0)", to: "if (missing.length > 99)" }],
    test: { file: "sqlite/install.test.ts", title: "a table that was rebuilt or altered, or that lost a trigger, is found" },
  },
  {
    name: "nullable key",
    hazards: ["C10"],
    without: "captures a SQLite table whose key may be NULL",
    edits: [
      { file: "replicator/node/sqlite/capture-plan.ts", from: 'if (table?.keyProblem === "nullable") {', to: "if (table === undefined) {" },
    ],
    test: { file: "sqlite/install.test.ts", title: "what has no identity that lasts is refused by plan" },
  },
  {
    name: "version of SQLite",
    hazards: ["C15"],
    without: "works with a SQLite that may damage files",
    edits: [
      {
        file: "replicator/node/sqlite/connection.ts",
        from: "if (major > a || (major === a && (minor > b || (minor === b && patch >= c)))) return;",
        to: "if (major + minor + patch + a + b + c > 0) return;",
      },
    ],
    test: { file: "unit/sqlite-version.test.ts", title: "a build whose SQLite may damage a file" },
  },
  {
    name: "write lock first",
    hazards: ["C16"],
    without: "begins a transaction of SQLite as a reader",
    edits: [{ file: "replicator/node/sqlite/connection.ts", from: 'connection.exec("begin immediate")', to: 'connection.exec("begin")' }],
    test: { file: "sqlite/log.test.ts", title: "many writers in other processes" },
  },
  {
    name: "triggers that rest",
    hazards: ["A12", "D2"],
    without: "lets the application's triggers run again for what comes from elsewhere",
    edits: [
      {
        file: "replicator/node/sqlite/apply.ts",
        from: "const resume = suspendTriggers(connection, locals);",
        to: "const resume = () => locals;",
      },
    ],
    test: { file: "sqlite/apply.test.ts", title: "the application's triggers do not run a second time" },
  },
  {
    name: "whole or not at all",
    hazards: ["D16"],
    without: "commits what a packet that failed has done",
    edits: [
      {
        file: "replicator/node/sqlite/connection.ts",
        from: 'if (connection.inTransaction) connection.exec("rollback");',
        to: 'if (connection.inTransaction) connection.exec("commit");',
      },
    ],
    test: { file: "sqlite/apply.test.ts", title: "a packet that fails half-way leaves nothing, not even its mark" },
  },
  {
    name: "clock that is off",
    hazards: ["D4"],
    without: "takes times as a child's clock says them",
    edits: [
      {
        file: "replicator/change/clock.ts",
        from: "const corrected = changedAt - Math.round(offset * 1000);",
        to: "const corrected = changedAt;",
      },
    ],
    test: { file: "unit/judge.test.ts", title: "a steady offset of the clock is taken off" },
  },
  {
    name: "deletion against an edit",
    hazards: ["D7"],
    without: "deletes a row that was changed since",
    edits: [
      {
        file: "replicator/conflict/judge.ts",
        from: "if (base !== null && agree(base, parent)) return peace(null, false);",
        to: "return peace(null, false);",
      },
    ],
    test: { file: "unit/judge.test.ts", title: "the decision table" },
  },
  {
    name: "one bad row",
    hazards: ["D33"],
    without: "lets a packet fail for a row that a constraint refuses",
    edits: [{ file: "replicator/node/postgres/row-error.ts", from: '"23", // integrity constraint violation', to: "" }],
    test: { file: "link/constraints.test.ts", title: "checks and NOT NULL cost one row each" },
  },
  {
    name: "log of a snapshot",
    hazards: ["E13"],
    without: "purges what the reader of a snapshot will read next",
    edits: [
      {
        file: "replicator/node/sqlite/purge.ts",
        from: "select position from tombolo_hold where channel = :channel",
        to: "select position from tombolo_hold where channel = :channel and 0",
      },
    ],
    test: { file: "sqlite/log.test.ts", title: "what a snapshot's reader has not acknowledged yet is not purged" },
  },
  {
    name: "name of the path",
    hazards: ["F14"],
    without: "believes the name in a path",
    edits: [
      {
        file: "replicator/hub/access.ts",
        from: 'if (caller.role !== "node" || node === undefined || node === caller.node) return;',
        to: "if (caller !== null) return;",
      },
    ],
    test: { file: "hub/edge-attacks.test.ts", title: "a name that is another's" },
  },
  {
    name: "name of the packet",
    hazards: ["F14"],
    without: "believes the names in a packet",
    edits: [
      {
        file: "replicator/link/link-end.ts",
        from: "if (packet.header.source === other.name && packet.header.target === node.name) return packet;",
        to: "if (packet !== null) return packet;",
      },
    ],
    test: { file: "hub/edge-attacks.test.ts", title: "a name that is another's" },
  },
  {
    name: "whole secret",
    hazards: ["F15"],
    without: "takes a token by its handle alone",
    edits: [{ file: "replicator/hub/secret.ts", from: "return same && record !== null;", to: "return record !== null;" }],
    test: { file: "hub/identity.test.ts", title: "is compared as a whole" },
  },
  {
    name: "checksum",
    hazards: ["F6"],
    without: "does not look at the checksums of a packet",
    edits: [
      {
        file: "replicator/change/packet-frame.ts",
        from: 'if (crc32(payload, crc32(head.subarray(0, 10))) !== head.readUInt32BE(10)) throw corrupt("A checksum is wrong.");',
        to: "",
      },
    ],
    test: { file: "unit/packet.test.ts", title: "with any bit flipped, a packet is refused" },
  },
  {
    name: "turns",
    hazards: ["F18"],
    without: "serves all edges at once",
    edits: [{ file: "replicator/hub/turns.ts", from: "if (this.#working < this.#atOnce) {", to: "if (this.#working >= 0) {" }],
    test: { file: "unit/turns.test.ts", title: "so many work at once" },
  },
  {
    name: "acknowledged to the log that was read",
    hazards: ["D17"],
    without: "notes in a database that was put back meanwhile what was read of it before",
    edits: [{ file: "replicator/link/acknowledging.ts", from: "{ ...fence, read: tick }", to: "{ ...fence }" }],
    test: {
      file: "full-sync/put-back.test.ts",
      title: "what the other end of a link has received of a postgres child that is put back meanwhile",
    },
  },
  {
    name: "a change that no receiver takes",
    hazards: ["F8"],
    without: "sends it, again and again",
    edits: [{ file: "replicator/change/packet-seal.ts", from: "if (bytes.length > most) throw tooLarge();", to: "" }],
    test: { file: "unit/packet.test.ts", title: "a change that no receiver takes is refused by the sender" },
  },
  {
    name: "pauses that grow",
    hazards: ["F25"],
    without: "tries again as fast as it can",
    edits: [{ file: "replicator/link/backoff.ts", from: "delay = Math.min(delay * Math.max(factor, 1), maxMs);", to: "" }],
    test: { file: "unit/backoff.test.ts", title: "delays grow by the factor up to the maximum" },
  },
  {
    name: "virtual columns",
    hazards: ["B18"],
    without: "publishes a table whose updates fail then",
    edits: [
      { file: "replicator/node/postgres/slot/preconditions.ts", from: "if (virtual !== undefined) {", to: "if (virtual === null) {" },
    ],
    test: { file: "slot/handover.test.ts", title: "a table with a virtual generated column cannot be published" },
  },
  {
    name: "rows that hold on to what they refer to",
    hazards: ["A11"],
    without: "lets an application's deletion take along what has arrived since it looked",
    edits: [
      {
        file: "replicator/node/postgres/referred-locks.ts",
        from: "({ acts, lockable }: ForeignKey): boolean => acts && lockable;",
        to: "({ acts, lockable }: ForeignKey): boolean => acts && lockable && acts !== lockable;",
      },
    ],
    test: { file: "link/unseen-cascade.test.ts", title: "not undone by a deletion whose application has not seen it" },
  },
  {
    name: "whole tables that hold on to what they refer to",
    hazards: ["A11"],
    without: "does not wait for who has locked a row that a full sync's rows refer to",
    edits: [{ file: "replicator/node/postgres/referred-locks.ts", from: "if (isHeld(key)) referred.add(key.to);", to: ";" }],
    test: { file: "link/unseen-cascade.test.ts", title: "the same of a pull" },
  },
  {
    name: "a full sync that keeps rows back",
    hazards: ["A11"],
    without: "brings rows that refer to one which was deleted here, and which the parent still has",
    edits: [{ file: "replicator/node/postgres/copy-hand-over.ts", from: "return await undo();", to: "{}" }],
    test: { file: "full-sync/cascade.test.ts", title: "keeps back what refers to a row that was deleted here and is not sent" },
  },
  {
    name: "a log that has gone on from a copy",
    hazards: ["D17", "D19"],
    without: "takes a log that was put back, and is longer by now than it was, for the one that it knew",
    edits: [{ file: "replicator/node/lives.ts", from: "(last.sealedAs === undefined || lastNow === last.sealedAs)", to: "isFurther" }],
    test: { file: "full-sync/put-back.test.ts", title: "log before it was put back is given to nobody" },
  },
  {
    name: "look before a sync",
    hazards: ["A37", "C6"],
    without: "does not look whether triggers are there when it is started now and then",
    edits: [{ file: "replicator/lifecycle/preflight.ts", from: "await node.installation.verify().catch(() => [])", to: "[]" }],
    test: { file: "e2e/refusals.test.ts", title: "is that all is well, or that a hole was noticed" },
    built: true,
  },
];

export const GUARDS: readonly Guard[] = [...KNOWN_MISTAKES, ...OTHER_GUARDS];
