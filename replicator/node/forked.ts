import { TomboloError } from "../change/error.ts";

/** Two databases act as one node, or one was put back to an earlier day (operator). */
export const forked = (message: string): TomboloError =>
  new TomboloError(message, {
    code: "PACKET_FORK",
    kind: "operator",
    hint: "one of the two databases was restored or copied; compare them before going on",
  });
