import { TomboloError } from "../change/error.ts";
import type { Verb } from "./verb.ts";

/** Verbs that are promised and come with a later version: they say so instead of being unknown, and are not in the help. */
const LATER = [
  "full-sync",
  "reconcile",
  "conflicts",
  "parked",
  "export",
  "import",
  "nodes remove",
  "nodes resync",
  "tokens",
  "purge",
  "serve",
  "edge",
];

export const laterVerbs: readonly Verb[] = LATER.map((name) => ({
  name,
  summary: "not yet",
  arguments: "[args...]",
  examples: [],
  run: () => {
    throw new TomboloError(`\`tombolo ${name}\` is not there yet`, {
      code: "NOT_YET",
      kind: "usage",
      hint: "It comes with a later version.",
    });
  },
}));
