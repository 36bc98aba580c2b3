import type { CodeRow } from "./code-row.ts";

/** Changes that travel on files. */
export const MEDIUM_CODES: readonly CodeRow[] = [
  ["LINK_ON_FILES", "usage", "The link travels on files.", "Use `tombolo export` at one end and `tombolo import` at the other."],
  [
    "MEDIUM_ANSWER",
    "operator",
    "A medium goes on from changes that could not all be taken.",
    "Export from here and import that at the other side, which then sends what is missing.",
  ],
  ["MEDIUM_BUSY", "retry", "Another process exports or imports between the same nodes.", "Try again when it has ended."],
  [
    "MEDIUM_DAMAGED",
    "operator",
    "A file is no medium, or not a whole one. Nothing of it was taken.",
    "Copy it again from where it was written.",
  ],
  [
    "MEDIUM_FORK",
    "operator",
    "A medium does not go on from the one before it, or answers one that was never written here.",
    "Export from here and import that at the other side; if one of the databases was restored, resync.",
  ],
  [
    "MEDIUM_GAP",
    "operator",
    "A medium needs others that have not been imported.",
    "Import them as well, in any order; if one is lost, `tombolo export --again` at its source.",
  ],
  [
    "MEDIUM_KEY",
    "usage",
    "A key for media is missing, or its file holds none.",
    "Make one with `tombolo keys create`, and name it in `medium`.",
  ],
  ["MEDIUM_LINK", "usage", "A medium is between nodes that no link of the topology joins.", "Use the topology that has both."],
  [
    "MEDIUM_PASSPHRASE",
    "usage",
    "A medium is encrypted, and the passphrase is missing or wrong.",
    "Give the one that it was exported with.",
  ],
  [
    "MEDIUM_SIGNATURE",
    "operator",
    "A medium is not signed by the node that it says it is from.",
    "Ask where it comes from; check the public key.",
  ],
];
