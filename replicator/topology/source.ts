import { type Alias, type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { hasExpression, interpolate, type Surroundings } from "./interpolate.ts";
import { redactText } from "./redact.ts";
import { syntaxProblem } from "./yaml-errors.ts";

/** Keys and indexes from the top of the file, e.g. `["channels", 0, "tables"]`. */
export type Path = readonly (string | number)[];

/** 1-based. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong somewhere in the file, before the file's name is put to it. */
export interface Fault extends Place {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** A value that is known to be unusable and has been reported: later checks pass over it. */
export const UNUSABLE: unique symbol = Symbol("unusable");

/** Aliases can make a small file a huge tree; no honest topology has as many values. */
const MAX_VALUES = 200_000;

/** A topology file as plain values with the place of each: what the checks work on. */
export interface Source {
  /** Objects without a prototype, arrays, and scalars with their `${…}` replaced; `UNUSABLE` where that failed. */
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** Where a value starts; for a path that is not there, where the nearest one around it starts. */
  place(path: Path): Place;
  /** Where a key starts. */
  keyPlace(path: Path): Place;
  /** True for a scalar that was written with `${…}`: its type is the key's. */
  isInterpolated(path: Path): boolean;
  /** A scalar as a message may show it: as it is written, never what a variable holds, and without URL passwords. */
  show(path: Path): string;
}

interface Entry {
  value: Place;
  key?: Place;
  written?: string;
  interpolated?: boolean;
}

/** Reads YAML 1.2. Never throws; with a syntax error the value is `UNUSABLE`. */
export function readSource(text: string, surroundings: Surroundings): Source {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, schema: "core" });
  const place = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = syntaxFaults(document, text, place);
  if (document.errors.length > 0) return new Reader({ document, surroundings, place, faults }).source(UNUSABLE);
  const reader = new Reader({ document, surroundings, place, faults });
  return reader.source(document.contents === null ? null : reader.read(document.contents, []));
}

/** One fault per line: what follows the first is mostly its echo. */
function syntaxFaults(document: Document, text: string, place: (offset: number) => Place): Fault[] {
  const byLine = new Map<number, Fault>();
  for (const error of [...document.errors, ...document.warnings]) {
    const at = place(error.pos[0]);
    if (!byLine.has(at.line)) byLine.set(at.line, { ...at, ...syntaxProblem(error.code, text.split(/\r?\n/)[at.line - 1] ?? "") });
  }
  return [...byLine.values()];
}

class Reader {
  readonly #document: Document;
  readonly #surroundings: Surroundings;
  readonly #offsetPlace: (offset: number) => Place;
  readonly #faults: Fault[];
  readonly #entries = new Map<string, Entry>();
  readonly #open = new Set<Node>();
  #count = 0;

  constructor(parts: { document: Document; surroundings: Surroundings; place: (offset: number) => Place; faults: Fault[] }) {
    this.#document = parts.document;
    this.#surroundings = parts.surroundings;
    this.#offsetPlace = parts.place;
    this.#faults = parts.faults;
  }

  source(value: unknown): Source {
    const entry = (path: Path): Entry | undefined => this.#entries.get(pathKey(path));
    const place = (path: Path): Place => entry(path)?.value ?? (path.length === 0 ? { line: 1, column: 1 } : place(path.slice(0, -1)));
    return {
      value,
      faults: this.#faults,
      place,
      keyPlace: (path) => entry(path)?.key ?? place(path),
      isInterpolated: (path) => entry(path)?.interpolated === true,
      show: (path) => shown(entry(path)?.written ?? ""),
    };
  }

  read(node: Node, path: Path, key?: Place): unknown {
    const at = node.range ? this.#offsetPlace(node.range[0]) : (key ?? { line: 1, column: 1 });
    this.#entries.set(pathKey(path), { value: at, ...(key && { key }) });
    if (++this.#count > MAX_VALUES) return this.#refuse(at, "more values than a topology can have", this.#count === MAX_VALUES + 1);
    if (isAlias(node)) return this.#readAlias(node, path, at, key);
    if (isScalar(node)) return this.#readScalar(node.value, node.source, path);
    if (this.#open.has(node)) return this.#refuse(at, "an alias inside of what it stands for");
    this.#open.add(node);
    const value = isMap(node) ? this.#readMap(node.items, path) : isSeq(node) ? this.#readList(node.items, path) : UNUSABLE;
    this.#open.delete(node);
    return value;
  }

  #readAlias(alias: Alias, path: Path, at: Place, key?: Place): unknown {
    const target = alias.resolve(this.#document);
    if (target === undefined) return this.#refuse(at, "an alias whose anchor is not set before it");
    const value = this.read(target, path, key);
    // a mistake is shown where the alias is used: the same anchor may be right elsewhere
    const entry = this.#entries.get(pathKey(path));
    if (entry) entry.value = at;
    return value;
  }

  #readList(items: readonly unknown[], path: Path): unknown[] {
    return items.map((item, index) => (isNode(item) ? this.read(item, [...path, index]) : null));
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: Path): unknown {
    const result = Object.create(null) as Record<string, unknown>;
    const lines = new Map<string, number>();
    for (const { key, value } of items) {
      const at = isNode(key) && key.range ? this.#offsetPlace(key.range[0]) : this.#offsetPlace(0);
      if (!isScalar(key) || typeof key.value !== "string" || key.value === "__proto__") {
        this.#faults.push({
          ...at,
          code: "YAML_KEY",
          message: "This key is not a plain text.",
          hint: "Put the key in quotes, or use another name.",
        });
        continue;
      }
      const name = key.value;
      if (name.includes("${")) {
        const hint = "Variables are put into values only. Write the key out.";
        this.#faults.push({ ...at, code: "VARIABLE_IN_KEY", message: `The key ${shown(name)} holds a variable.`, hint });
        continue;
      }
      const earlier = lines.get(name);
      if (earlier !== undefined) {
        const message = `The key ${shown(name)} is here a second time; the first is in line ${earlier}.`;
        this.#faults.push({ ...at, code: "DUPLICATE_KEY", message, hint: "Keep one of them." });
        continue;
      }
      lines.set(name, at.line);
      const child = [...path, name];
      if (isNode(value)) result[name] = this.read(value, child, at);
      else this.#entries.set(pathKey(child), { value: at, key: at });
      result[name] ??= null;
    }
    return result;
  }

  #readScalar(value: unknown, source: string | undefined, path: Path): unknown {
    const entry = this.#entries.get(pathKey(path));
    if (entry) entry.written = typeof value === "string" ? value : (source ?? String(value));
    if (typeof value !== "string" || !entry) return value;
    const { text, problems } = interpolate(value, this.#surroundings);
    for (const problem of problems) {
      this.#faults.push({ ...entry.value, code: problem.code, message: `\`${pathText(path)}\` ${problem.message}.`, hint: problem.hint });
    }
    entry.interpolated = hasExpression(value);
    return problems.length > 0 ? UNUSABLE : text;
  }

  #refuse(at: Place, what: string, say = true): typeof UNUSABLE {
    if (say) this.#faults.push({ ...at, code: "YAML_ALIAS", message: `Here is ${what}.`, hint: "Write the values out." });
    return UNUSABLE;
  }
}

/** A path for people: `channels[0].tables[1].filter`. */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(clipped(step))}]`;
  }
  return text === "" ? "the file" : text;
}

const pathKey = (path: Path): string => JSON.stringify(path);
const clipped = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text);
const shown = (text: string): string => `\`${clipped(redactText(text.replaceAll(/\s+/g, " "), []))}\``;
