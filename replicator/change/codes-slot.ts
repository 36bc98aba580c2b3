import type { CodeRow } from "./code-row.ts";

/** Capture from a replication slot. */
export const SLOT_CODES: readonly CodeRow[] = [
  ["CAPTURE_MODE", "operator", "A node captures in another way than the topology says.", "Run `tombolo plan`, then `tombolo apply`."],
  ["REPLICA_IDENTITY", "finding", "A table's old rows are no longer streamed to its slot.", "Run `tombolo apply`, then compare the table."],
  ["SLOT", "finding", "The node's replication slot is read.", "–"],
  [
    "SLOT_BEHIND",
    "retry",
    "The change log lags behind the node's replication slot.",
    "Nothing; the server is busy, or decodes a large transaction.",
  ],
  ["SLOT_BUSY", "retry", "Another process reads the node's replication slot.", "Let only one `run` or `sync` work on the node."],
  ["SLOT_CREATE_BLOCKED", "retry", "Long transactions keep a replication slot from being made.", "End them, or wait, and apply again."],
  ["SLOT_KEEPS_WAL", "finding", "A slot that nobody reads keeps the server's log without a limit.", "Set max_slot_wal_keep_size."],
  [
    "SLOT_LOST",
    "operator",
    "The node's slot is gone, was made anew or moved on, or the server was restored or promoted: changes may be missing.",
    "Run `tombolo apply`, then compare the tables; fill anew what differs.",
  ],
  ["SLOT_MISSING", "operator", "The topology wants capture from a slot, and there is none yet.", "Run `tombolo apply`."],
  ["SLOT_NONE_FREE", "finding", "Every replication slot of the server is in use.", "Raise max_replication_slots, or drop unused ones."],
  ["SLOT_NOT_OWNER", "finding", "Only its owner may publish a table.", "Make the role a member of the owner, or use `capture: trigger`."],
  ["SLOT_NO_SENDER", "finding", "Every walsender of the server is in use.", "Raise max_wal_senders."],
  ["SLOT_PARTITIONED", "finding", "A slot does not tell when a partition is truncated.", "Use `capture: trigger` for this node."],
  ["SLOT_PROTOCOL", "operator", "The replication stream holds something unknown.", "Upgrade Tombolo, or connect to the server directly."],
  ["SLOT_PUBLICATION", "finding", "The role may not create a publication.", "Grant create on the database."],
  [
    "SLOT_REPLICA_IDENTITY",
    "finding",
    "Tables get replica identity full, which writes whole old rows to the server's log.",
    "Compare the cost with `capture: trigger`.",
  ],
  ["SLOT_RETAINED", "finding", "The server keeps much of its log for the node's slot.", "Let the replicator catch up."],
  ["SLOT_ROLE", "finding", "The role may not replicate.", "Run alter role … replication."],
  ["SLOT_STREAM_ENDED", "retry", "The replication stream ended.", "Nothing; it is started again."],
  ["SLOT_TAKEN", "retry", "Another process has taken over the node's replication slot.", "Let only one `run` or `sync` work on the node."],
  ["SLOT_UNPUBLISHED", "finding", "A table is no longer in the publication.", "Run `tombolo apply`, then compare the table."],
  ["SLOT_UNREAD", "finding", "Nobody reads the node's replication slot.", "Start `tombolo run`."],
  [
    "SLOT_VIRTUAL_COLUMN",
    "finding",
    "The server refuses updates of a published table with a virtual generated column.",
    "Make it stored, or use `capture: trigger`.",
  ],
  ["SLOT_WAL_LEVEL", "finding", "The server does not log what a slot needs.", "Set wal_level = logical and restart it."],
];
