import type { Change, Op } from "../../change/change.ts";
import type { Column } from "../../change/shape.ts";
import type { StoredShape } from "./captured-tables.ts";
import type { NetChange } from "./chains.ts";
import { microseconds } from "./clock.ts";
import { type Image, literalToJson, splitImage } from "./image.ts";

type Images = Pick<NetChange, "old" | "new" | "changedAt" | "steps" | "replaced">;

/** How images of one shape become the JSON of changes; all that depends on the shape alone is worked out once. */
export class ChangeText {
  readonly #names: readonly (string | null)[];
  readonly #keyNames: readonly string[];
  readonly #table: number;
  readonly #whole: boolean;

  /** `now` are the columns that travel today: what an older shape had besides is left out. */
  constructor(options: {
    readonly table: number;
    readonly shape: StoredShape;
    readonly now: readonly Column[];
    readonly wholeImages: boolean;
  }) {
    const travels = new Set(options.now.map(({ name }) => name));
    this.#table = options.table;
    this.#whole = options.wholeImages;
    this.#names = options.shape.columns.map(({ name }) => (travels.has(name) ? `${JSON.stringify(name)}:` : null));
    this.#keyNames = options.shape.key.map((name) => `${JSON.stringify(name)}:`);
  }

  change(op: Op, key: Image, images: Images): Change | null {
    const head = { table: this.#table, op, key: this.#key(key), changedAt: time(images.changedAt) };
    if (op !== "U") return { ...head, old: this.#row(images.old), new: this.#row(images.new) };
    const old = splitImage(images.old ?? "");
    const now = splitImage(images.new ?? "");
    const touched = touchedColumns(images.steps ?? []);
    let before = "";
    let after = "";
    let something = false;
    for (const [at, name] of this.#names.entries()) {
      if (name === null) continue;
      const edited = images.replaced === true || old[at] !== now[at] || touched.has(at);
      if (!edited && !this.#whole) continue;
      something ||= edited;
      before += `,${name}${literalToJson(old[at] ?? "NULL")}`;
      after += `,${name}${literalToJson(now[at] ?? "NULL")}`;
    }
    // what changed may be columns that do not travel
    return !something ? null : { ...head, old: `{${before.slice(1)}}`, new: `{${after.slice(1)}}` };
  }

  #key(key: Image): string {
    const literals = splitImage(key);
    return `{${this.#keyNames.map((name, at) => name + literalToJson(literals[at] ?? "NULL")).join(",")}}`;
  }

  #row(image: Image | null): string | null {
    if (image === null) return null;
    const literals = splitImage(image);
    let text = "";
    for (const [at, name] of this.#names.entries()) if (name !== null) text += `,${name}${literalToJson(literals[at] ?? "NULL")}`;
    return `{${text.slice(1)}}`;
  }
}

/** Columns that any of the steps changed, by place. */
function touchedColumns(steps: NonNullable<Images["steps"]>): Set<number> {
  const touched = new Set<number>();
  for (const step of steps) {
    const after = splitImage(step.new);
    for (const [at, literal] of splitImage(step.old).entries()) if (literal !== after[at]) touched.add(at);
  }
  return touched;
}

let lastText = "";
let lastTime = 0;

/** Entries of one statement have the same time. */
function time(text: string): number {
  if (text !== lastText) {
    lastText = text;
    lastTime = microseconds(text);
  }
  return lastTime;
}
