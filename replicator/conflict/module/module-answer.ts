import { type Row, sameValue, type Value } from "../../change/value.ts";
import { isInt64 } from "../../change/values/storage.ts";
import type { Clash } from "../../change/verdict.ts";

/** What a module decided, or why it did not. */
export type ModuleAnswer =
  | { readonly take: Take; readonly reason?: string }
  /** What the row is to be, columns that are missing as both sides left them; null: there is to be none. */
  | { readonly row: Row | null; readonly reason?: string }
  /** A code and a sentence; never values. */
  | { readonly failed: string };

const TAKES = ["parent", "child", "base", "open"] as const;
type Take = (typeof TAKES)[number];

const MAX_REASON = 500;

/** Why a module did not decide. Listed in docs/errors.md. */
export type ModuleFailure = "MODULE_ANSWER" | "MODULE_FAILED" | "MODULE_LOAD" | "MODULE_PAUSED" | "MODULE_TIMEOUT";

export const undecided = (code: ModuleFailure, sentence: string): ModuleAnswer => ({ failed: `${code}: ${sentence}` });

const wrong = (sentence: string): ModuleAnswer => undecided("MODULE_ANSWER", sentence);

/** Checks what a module answered, and turns its row into one of the table. Trusts nothing about the answer but that it is a copy. */
export function readAnswer(answer: unknown, clash: Clash): ModuleAnswer {
  if (!isRecord(answer)) return wrong("The module's answer is no object with `take` or `row`.");
  const { take, row, reason } = answer;
  if ((take === undefined) === (row === undefined)) return wrong("The module's answer needs either `take` or `row`.");
  if (reason !== undefined && typeof reason !== "string") return wrong("The answer's `reason` is no text.");
  const why = reason === undefined || reason.trim() === "" ? {} : { reason: reason.trim().slice(0, MAX_REASON) };
  if (row === undefined) {
    const taken = TAKES.find((known) => known === take);
    return taken === undefined ? wrong(`The answer's \`take\` is none of ${TAKES.join(", ")}.`) : { take: taken, ...why };
  }
  if (row === null) return { row: null, ...why };
  if (!isRecord(row)) return wrong("The answer's `row` is neither an object nor null.");
  const read = readRow(row, clash);
  return typeof read === "string" ? wrong(read) : { row: read, ...why };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) && !(value instanceof Date);

/** The columns that the module gives, or what is wrong with them. */
function readRow(row: Record<string, unknown>, clash: Clash): Row | string {
  const { parent, child, base, wholeChild } = clash;
  if (parent === null && (child === null || !wholeChild)) return "The row as a whole is not known, so that the module cannot give one.";
  const images = [parent, child, base].filter((image) => image !== null);
  const known = (column: string): Value[] => images.flatMap((image) => (Object.hasOwn(image, column) ? [image[column] ?? null] : []));
  const sqlite = images.some((image) => Object.values(image).some((value) => value !== null && typeof value === "object"));
  const read: [column: string, value: Value][] = [];
  for (const [column, given] of Object.entries(row)) {
    const others = known(column);
    if (others.length === 0) return `The row has a column that the table has not: ${JSON.stringify(column.slice(0, 63))}.`;
    if (given === undefined) continue;
    const sample = others.find((value) => value !== null);
    const value = sqlite ? sqliteValue(given, sample) : postgresValue(given, sample);
    if (value === undefined) return `The row's ${column} is of a form that the column cannot take: ${formOf(given)}.`;
    if (clash.key.includes(column) && !others.some((other) => sameValue(other, value))) return `The row has another key (${column}).`;
    read.push([column, value]);
  }
  return Object.fromEntries(read);
}

/** Undefined: no value of a column. `known`: another value of the column. */
function sqliteValue(given: unknown, known: Value | undefined): Value | undefined {
  switch (typeof given) {
    case "string":
      return given;
    case "boolean":
      return { i: given ? "1" : "0" };
    case "bigint":
      return isInt64(given) ? { i: String(given) } : undefined;
    case "number": {
      if (Number.isNaN(given)) return undefined;
      const real = typeof known === "object" && known !== null && "r" in known;
      if (real || !Number.isInteger(given)) return { r: String(given) };
      return Number.isSafeInteger(given) ? { i: String(BigInt(given)) } : undefined;
    }
    default:
      if (given === null) return null;
      return given instanceof Uint8Array ? { b: Buffer.from(given).toString("hex") } : undefined;
  }
}

function postgresValue(given: unknown, known: Value | undefined): Value | undefined {
  switch (typeof given) {
    case "string":
      return given;
    case "boolean":
      // a boolean column prints t and f; one that holds anything else is text or JSON
      if (known === undefined || known === "t" || known === "f") return given ? "t" : "f";
      return String(given);
    case "bigint":
      return String(given);
    case "number":
      return Number.isInteger(given) && !Number.isSafeInteger(given) ? undefined : String(given);
    default:
      if (given === null) return null;
      return given instanceof Uint8Array ? `\\x${Buffer.from(given).toString("hex")}` : undefined;
  }
}

function formOf(given: unknown): string {
  if (typeof given === "number")
    return Number.isNaN(given) ? "NaN" : "a whole number beyond what a number holds exactly (a bigint would do)";
  if (typeof given === "bigint") return "a bigint beyond 64 bits";
  return typeof given === "object" ? "an object (turn it into text)" : `a ${typeof given}`;
}
