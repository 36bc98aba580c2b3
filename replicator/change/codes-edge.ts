import type { CodeRow } from "./code-row.ts";

/** Edges: the agent beside a database that reaches its hub over HTTP. */
export const EDGE_CODES: readonly CodeRow[] = [
  [
    "EDGE_CREDENTIAL",
    "usage",
    "The file with the edge's token cannot be read.",
    "Correct its permissions, or remove it and enrol with a new code.",
  ],
  [
    "EDGE_TOO_OLD",
    "operator",
    "An edge runs a version that cannot begin anew with its hub over HTTP.",
    "Upgrade it, and run `tombolo nodes resync` again; or let it enrol anew.",
  ],
  [
    "EDGE_NOT_ENROLLED",
    "usage",
    "The database has not been enrolled at a hub.",
    "Run `tombolo edge --database FILE --hub URL --code CODE` once.",
  ],
  ["HUB_ADDRESS", "usage", "The address of the hub is not one.", "Give it with its scheme: https://hub.example.com:7443."],
  ["HUB_UNREACHABLE", "connect", "The hub cannot be reached, or the connection broke.", "Nothing; it is tried again by itself."],
];
