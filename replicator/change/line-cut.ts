import { TomboloError } from "./error.ts";

/** What Node says of a connection that ended while somebody read from it, or wrote to it. */
const CODES = new Set(["ECONNRESET", "ECONNABORTED", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"]);

export const isLineCut = (error: unknown): boolean => error instanceof Error && CODES.has((error as NodeJS.ErrnoException).code ?? "");

/** Nobody's fault here: what was not whole is not taken, and whoever sent it sends it again. */
export const lineCut = (what: string, cause: unknown): TomboloError =>
  new TomboloError(what, {
    code: "LINE_CUT",
    kind: "retry",
    hint: "It is tried again by itself; if it repeats, look at the network, and at proxies that end connections.",
    cause,
  });
