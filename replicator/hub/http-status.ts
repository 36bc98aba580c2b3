import { type ErrorKind, TomboloError } from "../change/error.ts";

/** The status of an answer by the code of the error. What is not here follows from the kind. */
const BY_CODE: { readonly [code: string]: number } = {
  TOKEN_INVALID: 401,
  CODE_INVALID: 401,
  ROLE_FORBIDDEN: 403,
  NODE_FORBIDDEN: 403,
  HUB_PLAIN_HTTP: 403,
  ROUTE_UNKNOWN: 404,
  NODE_UNKNOWN: 404,
  LINK_UNKNOWN: 404,
  TOKEN_UNKNOWN: 404,
  TABLE_UNKNOWN: 404,
  GROUP_UNKNOWN: 422,
  TARGET_UNKNOWN: 422,
  NODE_NAME_TAKEN: 422,
  TOKEN_IDENTITY: 422,
  CONFLICT_UNKNOWN: 404,
  PARKED_UNKNOWN: 404,
  FULL_SYNC_NOT_ASKED: 403,
  FULL_SYNC_UNKNOWN: 404,
  RECONCILE_UNKNOWN: 404,
  RESYNC_GONE: 409,
  RUN_OPTION: 422,
  POSITION_UNKNOWN: 410,
  IMAGE_GONE: 410,
  BODY_TOO_LARGE: 413,
  // what If-Match speaks of is no longer so
  CONFLICT_DECIDED: 412,
  CONFLICT_COLUMN: 422,
  CONFLICT_INCOMPLETE: 422,
  CONFLICT_NO_MERGE: 422,
  CONFLICT_REFUSED: 422,
  IF_MATCH_MISSING: 428,
  PACKET_STRANGER: 403,
  PACKET_GAP: 409,
  PACKET_TOO_LARGE: 413,
  PACKET_PROTOCOL: 426,
  PACKET_CODEC: 415,
  PACKET_TRUNCATED: 400,
  PACKET_CORRUPT: 400,
  PACKET_COUNT: 400,
  PACKET_DIGEST: 400,
  PACKET_HEADER: 400,
  EXCHANGE_INVALID: 400,
  RATE_LIMITED: 429,
  NOT_INSTALLED: 503,
  NODE_NOT_INSTALLED: 503,
};

const BY_KIND: Readonly<Record<ErrorKind, number>> = { usage: 400, operator: 409, retry: 503, connect: 503, newer: 503, fatal: 500 };

export function httpStatus(error: unknown): number {
  if (error instanceof TomboloError) return BY_CODE[error.code] ?? BY_KIND[error.kind];
  return 500;
}
