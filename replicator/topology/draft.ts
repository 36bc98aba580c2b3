import { valueAt } from "./plain-value.ts";
import { type Path, type Place, pathText, type Source } from "./source.ts";
import { parseTableName, type TablePlace } from "./table-name.ts";
import type { Direction } from "./topology.ts";

/**
 * What can be read of a file that may still have faults of shape: everything that is there and of the right kind. The checks
 * of sense work on it, so that one misspelt key does not hide the cycle three links below. What is missing or of the wrong
 * kind is undefined here, has been reported by `checkShape`, and is passed over.
 */
export interface Draft {
  readonly nodes: readonly DraftNode[];
  readonly channels: readonly DraftChannel[];
  readonly links: readonly DraftLink[];
  readonly groups: readonly DraftGroup[];
  readonly reconcile: readonly DraftReconcile[];
}

/** A text of the file that names something. */
export interface Word {
  readonly text: string;
  readonly path: Path;
  readonly place: Place;
  /** For messages: in backticks; the expression where the text came from a variable. */
  readonly shown: string;
  /** False where the text came from a variable, so that no message may offer it. */
  readonly literal: boolean;
}

export interface DraftNode {
  readonly path: Path;
  readonly name: Word | undefined;
  readonly type: string | undefined;
  readonly url: Word | undefined;
  readonly password: Word | undefined;
  readonly file: Word | undefined;
  /** Undefined where it is missing; null when it is no number. */
  readonly idSlot: number | null | undefined;
}

export interface DraftTable {
  readonly path: Path;
  readonly name: Word | undefined;
  readonly at: TablePlace | null;
  /** What it is called in SQLite. */
  readonly sqliteName: string | undefined;
  readonly policy: Word | undefined;
  /** The map of `conflict`, when it is one. */
  readonly conflict: { readonly [key: string]: unknown } | undefined;
  readonly exclude: readonly string[];
  readonly filter: Word | undefined;
  /** Of `ids`. */
  readonly stride: number | null | undefined;
}

export interface DraftChannel {
  readonly path: Path;
  readonly name: Word | undefined;
  readonly tables: readonly DraftTable[];
}

export interface DraftUse {
  readonly path: Path;
  readonly channel: Word | undefined;
  /** Undefined when it is written but not a direction. */
  readonly direction: Direction | undefined;
}

export interface DraftLink {
  readonly path: Path;
  readonly parent: Word | undefined;
  readonly child: Word | undefined;
  /** Undefined when they can't be told. */
  readonly params: ReadonlySet<string> | undefined;
  readonly channels: readonly DraftUse[];
}

export interface DraftGroup {
  readonly path: Path;
  readonly name: Word | undefined;
  readonly parent: Word | undefined;
  readonly params: ReadonlySet<string> | undefined;
  readonly channels: readonly DraftUse[];
}

export interface DraftReconcile {
  readonly path: Path;
  readonly name: Word | undefined;
  readonly links: readonly Word[];
}

export function readDraft(source: Source): Draft {
  const at = (path: Path): unknown => valueAt(source.value, path);
  const word = (path: Path): Word | undefined => {
    const text = at(path);
    if (typeof text !== "string") return undefined;
    return { text, path, place: source.place(path), shown: source.show(path), literal: !source.isInterpolated(path) };
  };
  const items = (path: Path): Path[] => {
    const list = at(path);
    return Array.isArray(list) ? list.map((_, index) => [...path, index]) : [];
  };
  const number = (path: Path): number | null | undefined => {
    const value = at(path);
    if (value === undefined) return undefined;
    // what came from a variable is text
    const read = typeof value === "string" && /^\d{1,7}$/.test(value) ? Number(value) : value;
    return typeof read === "number" && Number.isInteger(read) ? read : null;
  };
  const texts = (path: Path): string[] => items(path).flatMap((item) => word(item)?.text ?? []);

  const table = (path: Path): DraftTable => {
    const short = typeof at(path) === "string";
    const name = word(short ? path : [...path, "name"]);
    const place = name === undefined ? null : parseTableName(name.text);
    const conflict = at([...path, "conflict"]);
    return {
      path,
      name,
      at: place,
      sqliteName: word([...path, "sqlite_name"])?.text ?? place?.table,
      policy: word([...path, "conflict"]) ?? word([...path, "conflict", "policy"]),
      conflict: isMap(conflict) ? conflict : undefined,
      exclude: texts([...path, "exclude"]),
      filter: word([...path, "filter"]),
      stride: number([...path, "ids", "stride"]),
    };
  };
  const use = (path: Path): DraftUse => {
    const short = typeof at(path) === "string";
    const direction = short ? "both" : (at([...path, "direction"]) ?? "both");
    return {
      path,
      channel: word(short ? path : [...path, "name"]),
      direction: direction === "both" || direction === "down" || direction === "up" ? direction : undefined,
    };
  };
  const paramNames = (path: Path): ReadonlySet<string> | undefined => {
    const params = at(path) ?? {};
    if (Array.isArray(params)) return new Set(texts(path));
    return isMap(params) ? new Set(Object.keys(params)) : undefined;
  };

  return {
    nodes: items(["nodes"]).map((path) => ({
      path,
      name: word([...path, "name"]),
      type: word([...path, "type"])?.text,
      url: word([...path, "url"]),
      password: word([...path, "password"]),
      file: word([...path, "path"]),
      idSlot: number([...path, "id_slot"]),
    })),
    channels: items(["channels"]).map((path) => ({ path, name: word([...path, "name"]), tables: items([...path, "tables"]).map(table) })),
    links: items(["links"]).map((path) => ({
      path,
      parent: word([...path, "parent"]),
      child: word([...path, "child"]),
      params: paramNames([...path, "params"]),
      channels: items([...path, "channels"]).map(use),
    })),
    groups: items(["groups"]).map((path) => ({
      path,
      name: word([...path, "name"]),
      parent: word([...path, "parent"]),
      params: paramNames([...path, "params"]),
      channels: items([...path, "channels"]).map(use),
    })),
    reconcile: items(["reconcile"]).map((path) => ({
      path,
      name: word([...path, "name"]),
      links: items([...path, "links"]).flatMap((item) => word(item) ?? []),
    })),
  };
}

const isMap = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The name of a thing for messages, or its path when it has none. */
export const called = (thing: { readonly path: Path; readonly name: Word | undefined }): string =>
  thing.name?.shown ?? `\`${pathText(thing.path)}\``;
