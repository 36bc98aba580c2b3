import { readFile } from "node:fs/promises";
import { TomboloError } from "../change/error.ts";
import { keyUnusable } from "../medium/medium-errors.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { optionInvalid } from "./option-values.ts";
import { type CommandContext, text, type VerbInput } from "./verb.ts";

/** The passphrase by which media are encrypted: of `--passphrase-file`, or TOMBOLO_PASSPHRASE; null where there is none. */
export async function passphraseOf({ env }: CommandContext, input: VerbInput): Promise<string | null> {
  const file = text(input, "passphraseFile");
  const given = file === undefined ? env.TOMBOLO_PASSPHRASE : await readFile(file, "utf8").catch(() => undefined);
  if (file !== undefined && given === undefined)
    throw optionInvalid(`--passphrase-file cannot be read: ${file}`, "Give a file that holds it.");
  // a file's last newline is not a part of it
  const passphrase = given?.replace(/\r?\n$/, "");
  if (passphrase === "") throw optionInvalid("the passphrase is empty", "Give one, or leave it out.");
  return passphrase ?? null;
}

/** The link between two nodes, whichever is the parent. Throws `LINK_UNKNOWN` (usage). */
export function linkBetween(topology: Topology, one: string, other: string): TopologyLink | undefined {
  return topology.links.find(({ parent, child }) => (parent === one && child === other) || (parent === other && child === one));
}

/** Throws `MEDIUM_KEY` (usage). */
export function ownKeyFile(topology: Topology): string {
  const file = topology.medium?.key;
  if (file !== undefined && file !== null) return file;
  throw new TomboloError("the topology names no key to sign media with", {
    code: "MEDIUM_KEY",
    kind: "usage",
    hint: "Make one with `tombolo keys create FILE`, and add `medium: { key: FILE }`.",
  });
}

/** Throws `MEDIUM_KEY` (usage). */
export function keyFileOf(topology: Topology, node: string): string {
  const file = topology.medium?.trust[node];
  if (file !== undefined) return file;
  throw keyUnusable(`medium.trust.${node}`, "given in the topology: whose media are imported is not said");
}
