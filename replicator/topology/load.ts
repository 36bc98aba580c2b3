import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { checkAddresses } from "./check-addresses.ts";
import { checkFilters } from "./check-filters.ts";
import { checkIds } from "./check-ids.ts";
import { checkNotifications } from "./check-notifications.ts";
import { checkTables } from "./check-tables.ts";
import { checkTree } from "./check-tree.ts";
import { readDraft } from "./draft.ts";
import { absolute } from "./location.ts";
import { resolveTopology } from "./resolve.ts";
import { checkShape } from "./shape.ts";
import { type Fault, readSource } from "./source.ts";
import type { Problem, Topology } from "./topology.ts";

export type Environment = { readonly [name: string]: string | undefined };

/** Either the topology, or every problem of the file, in the order of the file. */
export type LoadedTopology = { readonly topology: Topology } | { readonly problems: readonly Problem[] };

/** Reads and checks a topology file. A file that can't be read is a problem too (`FILE_UNREADABLE`); nothing is thrown. */
export async function loadTopology(file: string, env: Environment): Promise<LoadedTopology> {
  const path = resolve(file);
  let text: string;
  try {
    text = strictText(await readFile(path));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    const message = `The topology can't be read (${reason}).`;
    const hint = "Give its path with -c FILE or in TOMBOLO_CONFIG; the file must be readable and UTF-8.";
    return { problems: [{ file: path, line: 1, column: 1, code: "FILE_UNREADABLE", message, hint }] };
  }
  return parseTopology(text, { file: path, env, readFile: (secret) => strictText(readFileSync(secret)) });
}

/**
 * Checks the text of a topology file. `file` is its absolute path: relative paths start at its folder. `readFile` gets the
 * absolute path of a secret file and throws when it can't be read. No problem holds what a variable or a file holds, nor a
 * password of a URL.
 */
export function parseTopology(
  text: string,
  options: { readonly file: string; readonly env: Environment; readonly readFile: (path: string) => string },
): LoadedTopology {
  const folder = dirname(options.file);
  const source = readSource(text, { env: options.env, readFile: (path) => options.readFile(absolute(folder, path)) });
  const shape = checkShape(source);
  const draft = readDraft(source);
  const faults = [
    ...source.faults,
    ...shape.faults,
    ...checkTree(draft),
    ...checkTables(draft, source),
    ...checkIds(draft, source),
    ...checkFilters(draft),
    ...checkAddresses(draft, source, folder),
    ...checkNotifications(source),
  ];
  if (faults.length > 0 || shape.file === null) return { problems: inOrder(faults, options.file) };
  return { topology: resolveTopology(shape.file, options.file) };
}

function inOrder(faults: readonly Fault[], file: string): Problem[] {
  const distinct = new Map(
    faults.map(({ line, column, code, message, hint }) => [
      JSON.stringify([line, column, code, message]),
      { file, line, column, code, message, hint },
    ]),
  );
  return [...distinct.values()].sort((a, b) => a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
}

/** UTF-8 without a byte order mark; throws on anything else rather than putting in replacement characters. */
const strictText = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
