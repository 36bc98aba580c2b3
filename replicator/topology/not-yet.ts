import type { NotYet } from "./topology.ts";

/** What the file asks for that this version accepts and does not run. There is nothing of that kind now: a version that needs it lists it here, each with its place. */
export function notYet(): NotYet[] {
  return [];
}
