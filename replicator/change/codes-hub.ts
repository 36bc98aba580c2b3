import type { CodeRow } from "./code-row.ts";

/** The hub's HTTP service. */
export const HUB_CODES: readonly CodeRow[] = [
  ["BODY_TOO_LARGE", "usage", "The body of a request is larger than the route takes.", "Send less at once."],
  ["CODE_INVALID", "usage", "An enrolment code is unknown, expired or used.", "Ask for a new one: `tombolo tokens create --role node`."],
  ["CONFLICT_NO_MERGE", "operator", "A conflict has nothing to merge: one side has no row.", "Take one of the two sides, or give values."],
  ["FULL_SYNC_UNKNOWN", "usage", "A node has no such full sync in its records.", "See GET /v1/full-sync-runs."],
  ["GROUP_UNKNOWN", "usage", "The topology has no such group of edges.", "Give one that the hint lists."],
  [
    "HUB_DRAINING",
    "retry",
    "The service is being stopped: it finishes what it has in hand and takes nothing new.",
    "Nothing; another try reaches its successor.",
  ],
  ["HUB_NOT_CONFIGURED", "usage", "The topology does not say where the hub is served.", "Add `hub` to it; see docs/hub.md."],
  [
    "HUB_PLAIN_HTTP",
    "usage",
    "The hub would serve plain HTTP where others can listen.",
    "Give `hub.tls`, listen on 127.0.0.1, or name the proxy that adds TLS in `hub.trust_proxy`.",
  ],
  ["HUB_TLS", "usage", "A certificate or key of `hub.tls` cannot be read or does not fit.", "Correct the files."],
  ["IF_MATCH_MISSING", "usage", "A decision does not say what it decides about.", "Send the ETag of the conflict in If-Match."],
  [
    "NODE_FORBIDDEN",
    "usage",
    "An edge asks in the name of another.",
    "Use the name that the edge was enrolled with; see `tombolo tokens list`.",
  ],
  ["NODE_NAME_TAKEN", "usage", "An edge would have the name of a node of the topology.", "Give it a name of its own."],
  [
    "PARKED_OF_EDGE",
    "operator",
    "A parked change of an edge cannot be tried at once: the edge is not reached from here.",
    "Wait for its next exchange, or discard the change.",
  ],
  ["RATE_LIMITED", "retry", "Too many requests from one caller.", "Wait as long as Retry-After says."],
  ["REQUEST_INVALID", "usage", "A request is not as the route wants it.", "See `errors` in the answer and docs/openapi.json."],
  ["ROLE_FORBIDDEN", "usage", "The token's role may not do this.", "Use a token of the role that the hint names."],
  ["ROUTE_UNKNOWN", "usage", "The service has no such route.", "See docs/openapi.json."],
  ["ROUTE_WITHOUT_ACCESS", "fatal", "A route does not say who may call it.", "Report it with the log."],
  [
    "RUN_OPTION",
    "usage",
    "A full sync or a comparison was asked for with an option that does not go with its link, or with who runs it.",
    "Do what the hint says.",
  ],
  ["TABLE_UNKNOWN", "usage", "A node does not take part in such a table.", "Give one that the hint lists."],
  [
    "TOKEN_IDENTITY",
    "usage",
    "What a token is wanted for does not fit together: a role with a node, or an edge without its group's parameters.",
    "Give what the hint says.",
  ],
  [
    "TOKEN_INVALID",
    "usage",
    "The request has no token, or one that is unknown, expired or revoked.",
    "Send `Authorization: Bearer TOKEN`; make one with `tombolo tokens create`.",
  ],
  [
    "TOKEN_ROTATED",
    "operator",
    "A token has been rotated before, and its successor is in use: two hold it.",
    "Revoke it, and enrol the edge anew.",
  ],
  ["TOKEN_UNKNOWN", "usage", "There is no such token, or it is not in force any more.", "See `tombolo tokens list`."],
];
