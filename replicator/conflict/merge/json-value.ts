import { parseDecimal } from "../../change/values/decimal.ts";

/** JSON without loss: numbers as they are written, keys in order; `__proto__` is a key like any other. */
export type Json = null | boolean | string | JsonNumber | JsonArray | JsonObject;
export type JsonArray = readonly Json[];
export type JsonObject = ReadonlyMap<string, Json>;

export class JsonNumber {
  readonly literal: string;

  constructor(literal: string) {
    this.literal = literal;
  }
}

export const isObject = (value: Json | undefined): value is JsonObject => value instanceof Map;
export const isArray = (value: Json | undefined): value is JsonArray => Array.isArray(value);

/** A tree is compared many times while it is merged. */
const canonicals = new WeakMap<object, string>();

/** The same text for the same value: numbers by what they are (1.0 is 1, 1e2 is 100), objects whatever the order of their keys. */
export function canonical(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const known = canonicals.get(value);
  if (known !== undefined) return known;
  const text = canonicalTree(value);
  canonicals.set(value, text);
  return text;
}

function canonicalTree(value: JsonNumber | JsonArray | JsonObject): string {
  if (value instanceof JsonNumber) return canonicalNumber(value.literal);
  if (isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = [...(value as JsonObject)].map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${entries.sort().join(",")}}`;
}

function canonicalNumber(literal: string): string {
  const decimal = parseDecimal(literal);
  // an exponent that nothing holds: such numbers are the same only when they are written alike
  if (decimal === null) return literal;
  if (decimal.digits === "") return "0";
  return `${decimal.negative ? "-" : ""}${decimal.digits}e${decimal.point}`;
}

/** The same value; `undefined`, there is none, is only the same as itself. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && canonical(a) === canonical(b));
}
