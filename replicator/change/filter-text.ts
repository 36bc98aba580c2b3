import { TomboloError } from "./error.ts";
import type { RowFilter } from "./row-filter.ts";
import type { Engine } from "./shape.ts";

/** A part of a filter: SQL that is passed on as it is, a parameter to be bound, or (for checks) which kind of SQL it is. */
export interface FilterToken {
  readonly kind: "word" | "string" | "param" | "other";
  /** As it stands in the filter; of a parameter its name alone. */
  readonly text: string;
}

export interface FilterText {
  /** Without comments. */
  readonly tokens: readonly FilterToken[];
  /** Why the text is not one condition by itself; null when it may be one. The database has the last word. */
  readonly problem: string | null;
}

// quoted things first: what is in them is never a parameter, a bracket or a semicolon
const POSTGRES =
  /(?<string>[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[\s\S]*?\$\k<tag>\$)|(?<name>"(?:[^"]|"")*")|(?<comment>--[^\n]*|\/\*)|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|::|(?<![\])\w\u0080-\uffff]):(?<param>[A-Za-z_]\w*)|(?<space>\s+)|(?<number>\.?\d[\w.]*)|[\s\S]/y;
const SQLITE =
  /(?<string>[xX]?'(?:[^']|'')*')|(?<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|(?<comment>--[^\n]*|\/\*)|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|:(?<param>[A-Za-z_]\w*)|(?<space>\s+)|(?<number>\.?\d[\w.]*)|[\s\S]/y;

interface Bracket {
  readonly close: string;
  /** Square brackets behind a value, not those of an array that is written out. */
  readonly subscript: boolean;
}

function opened(text: "(" | "[", before: string, around: Bracket | undefined): Bracket {
  if (text === "(") return { close: ")", subscript: false };
  const inArray = (before === "[" || before === ",") && around?.close === "]" && !around.subscript;
  return { close: "]", subscript: !inArray && !/^array$/i.test(before) };
}

/**
 * Takes a filter apart as its engine would. It must be one condition whatever stands around it: brackets match, nothing ends the statement, and
 * no comment or quote runs on. In Postgres a colon at the beginning of a subscript is that of a slice (`a[:n]`): write `a[(:n)]` for a parameter.
 */
export function filterText(filter: string, engine: Engine): FilterText {
  const pattern = new RegExp(engine === "postgres" ? POSTGRES : SQLITE);
  const tokens: FilterToken[] = [];
  const open: Bracket[] = [];
  let solid = "";
  let problem: string | null = filter.trim() === "" ? "it is empty" : null;
  const wrong = (what: string): void => {
    problem ??= what;
  };
  for (let at = 0; at < filter.length; ) {
    pattern.lastIndex = at;
    const match = pattern.exec(filter) as RegExpExecArray;
    const [text] = match;
    const { string, comment, word, param, name, space } = match.groups ?? {};
    at += text.length;
    if (comment !== undefined) {
      const end = comment === "/*" ? endOfComment(filter, at, engine) : at;
      if (end === undefined) wrong("a comment does not end");
      at = end ?? filter.length;
      tokens.push({ kind: "other", text: " " });
    } else if (param !== undefined && solid === "[" && open.at(-1)?.subscript === true) {
      // the colon of a slice
      tokens.push({ kind: "other", text: ":" });
      at -= param.length;
    } else if (param !== undefined) tokens.push({ kind: "param", text: param });
    else if (string !== undefined) tokens.push({ kind: "string", text });
    else if (word !== undefined) tokens.push({ kind: "word", text });
    else {
      tokens.push({ kind: "other", text });
      if (name !== undefined) {
        solid = text;
        continue;
      }
      if (text === "(" || text === "[") open.push(opened(text, solid, open.at(-1)));
      else if ((text === ")" || text === "]") && open.pop()?.close !== text) wrong("its brackets do not match");
      else if (text === ";") wrong("it holds a semicolon");
      else if (text === "'" || text === '"' || text === "`") wrong("a quote does not end");
      else if (text === "$") wrong("it holds a $ that belongs to no word: parameters are written :name");
      else if (engine === "sqlite" && (text === "?" || text === "@" || text === "#")) wrong("parameters are written :name");
      else if (text === "\0") wrong("it holds a zero character");
    }
    if (comment === undefined && space === undefined) solid = text;
  }
  if (open.length > 0) wrong("its brackets do not match");
  return { tokens, problem };
}

/** Comments of Postgres nest. */
function endOfComment(filter: string, from: number, engine: Engine): number | undefined {
  let depth = 1;
  for (const match of filter.slice(from).matchAll(/\/\*|\*\//g)) {
    if (match[0] === "*/") depth -= 1;
    else if (engine === "postgres") depth += 1;
    if (depth === 0) return from + match.index + 2;
  }
  return undefined;
}

/** The names of the parameters of a filter, each once. */
export const filterParams = (filter: string, engine: Engine = "postgres"): string[] => [
  ...new Set(filterText(filter, engine).tokens.flatMap(({ kind, text }) => (kind === "param" ? [text] : []))),
];

/** Those of the columns that a filter can mean: their names stand in it, in whatever case. The others need not be looked at. */
export function columnsOf<T extends { readonly name: string }>(filter: string, engine: Engine, columns: readonly T[]): readonly T[] {
  const { tokens } = filterText(filter, engine);
  // a name in escapes of Unicode may be any
  if (tokens.some(({ kind, text }, at) => kind === "word" && /^u$/i.test(text) && tokens[at + 1]?.text === "&")) return columns;
  const named = tokens.filter(({ kind }) => kind === "word" || kind === "other");
  const names = new Set(named.map(({ text }) => unquoted(text).toLowerCase()));
  return columns.filter(({ name }) => names.has(name.toLowerCase()));
}

function unquoted(text: string): string {
  const [first = ""] = text;
  if (first === "[") return text.slice(1, -1);
  return first === '"' || first === "`" ? text.slice(1, -1).replaceAll(first + first, first) : text;
}

/**
 * A filter as a condition that may stand anywhere: true or false, never NULL, with its parameters in the places that `place` gives them, and
 * their values in the order of these. Throws `FILTER_INVALID` (operator).
 */
export function filterCondition(
  filter: RowFilter,
  engine: Engine,
  place: (occurrence: number) => string,
): { sql: string; values: string[] } {
  const { tokens, problem } = filterText(filter.text, engine);
  if (problem !== null) throw invalidFilter(`the filter is not one condition: ${problem}`);
  const values: string[] = [];
  const text = tokens.map((token) => {
    if (token.kind !== "param") return token.text;
    const value = Object.hasOwn(filter.params, token.text) ? filter.params[token.text] : undefined;
    if (value === undefined) throw invalidFilter(`the filter's parameter :${token.text} has no value`);
    return place(values.push(value) - 1);
  });
  return { sql: `((${text.join("")}) is true)`, values };
}

export const invalidFilter = (message: string): TomboloError =>
  new TomboloError(message, { code: "FILTER_INVALID", kind: "operator", hint: "correct the `filter` of the table in the topology" });
