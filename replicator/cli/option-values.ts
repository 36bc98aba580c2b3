import { TomboloError } from "../change/error.ts";
import { durationMs } from "../topology/units.ts";

export const optionInvalid = (message: string, hint: string, cause?: unknown): TomboloError =>
  new TomboloError(message, { code: "OPTION_INVALID", kind: "usage", hint, ...(cause === undefined ? {} : { cause }) });

const MOMENT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** A moment in RFC 3339: as given, a day's beginning in UTC, or as long ago as a duration such as `7d` says. */
export function moment(option: string, text: string, now: number): string {
  const ago = durationMs(text);
  if (ago !== null && now - ago > 0) return new Date(now - ago).toISOString();
  const full = text.length === 10 ? `${text}T00:00:00Z` : text;
  if (MOMENT.test(text) && !Number.isNaN(Date.parse(full))) return full;
  throw optionInvalid(
    `--${option} is no moment: ${text}`,
    "Write 2026-01-31, 2026-01-31T12:00:00Z, or a duration for so long ago, such as 7d.",
  );
}

/** A whole number from 1 on. */
export function count(option: string, text: string, highest: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= highest) return value;
  throw optionInvalid(`--${option} is no number from 1 to ${highest}: ${text}`, "Write digits only.");
}

export function oneOf<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw optionInvalid(`--${option} cannot be ${text}`, `It is one of ${choices.join(", ")}.`);
}

/** `7`, or `hub/7` where the node is said as well. */
export interface NumberAtNode {
  readonly node: string | null;
  readonly id: bigint;
}

export function numberAtNode(text: string): NumberAtNode {
  const [, node, digits] = /^(?:([^/]+)\/)?(\d{1,18})$/.exec(text) ?? [];
  if (digits === undefined) throw optionInvalid(`${text} is no number of a record`, "Write it as the list shows it: 7, or NODE/7.");
  return { node: node ?? null, id: BigInt(digits) };
}

/** `column=value`, each column once; the value is all that follows the first `=`. */
export function assignments(option: string, texts: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) throw optionInvalid(`--${option} names a column and its value: ${text}`, `Write --${option} column=value.`);
    const column = text.slice(0, at);
    if (values.has(column)) throw optionInvalid(`--${option} gives ${column} more than once`, "Give each column once.");
    values.set(column, text.slice(at + 1));
  }
  return values;
}
