import type { Change, Op } from "../../change/change.ts";
import { inOnePiece } from "../../change/in-one-piece.ts";
import type { Column } from "../../change/shape.ts";
import type { StoredShape } from "./captured-tables.ts";
import type { NetChange } from "./chains.ts";
import { microseconds } from "./clock.ts";
import { endOfLiteral, type Image, literalToJson, splitImage } from "./image.ts";

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
    if (op !== "U") {
      const { old, new: now, changedAt } = images;
      return { table: this.#table, op, key: this.#key(key), old: this.#row(old), new: this.#row(now), changedAt: time(changedAt) };
    }
    const old = new Literals(images.old ?? "");
    const now = new Literals(images.new ?? "");
    const touched = images.steps === undefined ? NONE : touchedColumns(images.steps);
    let before = "";
    let after = "";
    let something = false;
    for (let at = 0; at < this.#names.length; at++) {
      const name = this.#names[at];
      const was = old.next();
      const is = now.next();
      if (name == null) continue;
      const edited = images.replaced === true || was !== is || touched.has(at);
      if (!edited && !this.#whole) continue;
      something ||= edited;
      before += `${before === "" ? "{" : ","}${name}${literalToJson(was)}`;
      after += `${after === "" ? "{" : ","}${name}${literalToJson(is)}`;
    }
    // what changed may be columns that do not travel
    if (!something) return null;
    const changedAt = time(images.changedAt);
    return { table: this.#table, op, key: this.#key(key), old: inOnePiece(`${before}}`), new: inOnePiece(`${after}}`), changedAt };
  }

  #key(key: Image): string {
    return jsonOf(key, this.#keyNames);
  }

  #row(image: Image | null): string | null {
    return image === null ? null : jsonOf(image, this.#names);
  }
}

/** The literals of an image, one after the other, without a list of them; NULL for what an image does not have. */
class Literals {
  readonly #image: Image;
  #at = 0;

  constructor(image: Image) {
    this.#image = image;
  }

  next(): string {
    if (this.#at >= this.#image.length) return "NULL";
    const start = this.#at;
    const end = endOfLiteral(this.#image, start);
    this.#at = end + 1;
    return this.#image.slice(start, end);
  }
}

/** `names` as JSON writes them, with the colon; null for a column that does not travel. */
function jsonOf(image: Image, names: readonly (string | null)[]): string {
  const literals = new Literals(image);
  let text = "";
  for (let at = 0; at < names.length; at++) {
    const literal = literals.next();
    const name = names[at];
    if (name != null) text += `${text === "" ? "{" : ","}${name}${literalToJson(literal)}`;
  }
  return text === "" ? "{}" : inOnePiece(`${text}}`);
}

const NONE: ReadonlySet<number> = new Set();

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
