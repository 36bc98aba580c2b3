import { TomboloError } from "../change/error.ts";

/** Nothing tells which of the three it is. */
export const codeInvalid = (): TomboloError =>
  new TomboloError("the code is unknown, expired or used", {
    code: "CODE_INVALID",
    kind: "usage",
    hint: "Ask for a new one: `tombolo tokens create --role node`.",
  });

export const tokenInvalid = (message: string): TomboloError =>
  new TomboloError(message, {
    code: "TOKEN_INVALID",
    kind: "usage",
    hint: "Send `Authorization: Bearer TOKEN`; an admin makes one with `tombolo tokens create`.",
  });

export const tokenRotated = (): TomboloError =>
  new TomboloError("the token has been rotated before, and the new one is in use", {
    code: "TOKEN_ROTATED",
    kind: "operator",
    hint: "Two hold the same token: revoke it, and enrol the edge anew.",
  });

export const tokenUnknown = (id: bigint): TomboloError =>
  new TomboloError(`there is no token ${id} that this could be done to`, {
    code: "TOKEN_UNKNOWN",
    kind: "usage",
    hint: "See `tombolo tokens list`.",
  });
