import { isArray, isObject, type Json, JsonNumber, type JsonObject } from "./json-value.ts";

/** Deeper trees are no documents any more. */
const MAX_DEPTH = 200;

/** Reads JSON text (RFC 8259) without loss; or says what is wrong with it: where, never what stands there. */
export function readJson(text: string): { readonly json: Json } | { readonly problem: string } {
  const reader = new Reader(text);
  try {
    return { json: reader.document() };
  } catch (error) {
    if (error instanceof NotRead) return { problem: `${error.message} at character ${reader.at + 1}` };
    throw error;
  }
}

class NotRead extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANK = /[ \t\n\r]*/y;
const LITERALS: readonly (readonly [string, Json])[] = [
  ["null", null],
  ["true", true],
  ["false", false],
];

class Reader {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    if (this.at < this.#text.length) throw new NotRead("it goes on behind its end");
    return value;
  }

  /** A value with the blanks around it. */
  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw new NotRead("it is nested too deeply");
    this.#blanks();
    const value = this.#bare(depth);
    this.#blanks();
    return value;
  }

  #bare(depth: number): Json {
    switch (this.#text[this.at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
    }
    for (const [literal, value] of LITERALS) {
      if (this.#text.startsWith(literal, this.at)) {
        this.at += literal.length;
        return value;
      }
    }
    const number = this.#match(NUMBER);
    if (number === "") throw new NotRead("there is no JSON value");
    return new JsonNumber(number);
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>();
    this.at++;
    this.#blanks();
    if (this.#takes("}")) return members;
    do {
      this.#blanks();
      if (this.#text[this.at] !== '"') throw new NotRead("a key is missing");
      const key = this.#string();
      if (members.has(key)) throw new NotRead("an object has a key twice");
      this.#blanks();
      if (!this.#takes(":")) throw new NotRead("a colon is missing");
      members.set(key, this.#value(depth + 1));
    } while (this.#takes(","));
    if (!this.#takes("}")) throw new NotRead("an object is not closed");
    return members;
  }

  #array(depth: number): Json[] {
    const elements: Json[] = [];
    this.at++;
    this.#blanks();
    if (this.#takes("]")) return elements;
    do elements.push(this.#value(depth + 1));
    while (this.#takes(","));
    if (!this.#takes("]")) throw new NotRead("an array is not closed");
    return elements;
  }

  #string(): string {
    let end = this.at + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    try {
      const value = JSON.parse(this.#text.slice(this.at, end + 1)) as string;
      this.at = end + 1;
      return value;
    } catch {
      throw new NotRead("a string is not valid");
    }
  }

  #blanks(): void {
    this.#match(BLANK);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.#text) ?? [""];
    this.at += found.length;
    return found;
  }

  #takes(mark: string): boolean {
    if (this.#text[this.at] !== mark) return false;
    this.at++;
    return true;
  }
}

/** How JSON text is laid out. */
export interface Layout {
  readonly afterComma: string;
  readonly afterColon: string;
  /** One step, for text of several lines. */
  readonly indent: string | null;
}

/** As `text` is laid out: over several lines, with blanks as Postgres prints jsonb, or without. */
export function layoutOf(text: string): Layout {
  const indent = /^\s*[[{]\r?\n([ \t]+)/.exec(text)?.[1] ?? null;
  const spaced = /[:,] /.test(text.replace(STRINGS, ""));
  return { afterComma: spaced ? " " : "", afterColon: spaced ? " " : "", indent };
}

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/gs;

export function writeJson(value: Json, layout: Layout, depth = 0): string {
  if (value instanceof JsonNumber) return value.literal;
  const inside = (member: Json): string => writeJson(member, layout, depth + 1);
  if (isArray(value)) return block("[]", value.map(inside), layout, depth);
  if (isObject(value)) {
    const members = [...value].map(([key, member]) => `${JSON.stringify(key)}:${layout.afterColon}${inside(member)}`);
    return block("{}", members, layout, depth);
  }
  return JSON.stringify(value);
}

function block(marks: "[]" | "{}", parts: readonly string[], { indent, afterComma }: Layout, depth: number): string {
  const [open, close] = marks;
  if (indent === null || parts.length === 0) return `${open}${parts.join(`,${afterComma}`)}${close}`;
  const line = (steps: number): string => `\n${indent.repeat(steps)}`;
  return `${open}${line(depth + 1)}${parts.join(`,${line(depth + 1)}`)}${line(depth)}${close}`;
}
