/**
 * The terms and the condition of a `create unique index ... on t (terms) where condition`, as SQLite keeps its text. SQLite has parsed
 * the text before us, so that brackets and quotes match.
 */
export interface IndexText {
  /** Without `asc` and `desc`; a `collate` stays. */
  readonly terms: readonly string[];
  readonly where: string | null;
}

interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

// strings and quoted names, comments, words and numbers, then any single character
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|[\p{L}\p{N}_$]+|\S/gu;

/** The words of an expression in lower case, quoted names without their quotes; columns are among them. */
export const wordsOf = (sql: string): string[] =>
  [...sql.matchAll(TOKEN)].map(([token]) => (/^["`[]/.test(token) ? token.slice(1, -1) : token).toLowerCase());

export function indexText(sql: string): IndexText {
  const tokens = [...sql.matchAll(TOKEN)]
    .map((match): Token => ({ text: match[0], start: match.index, end: match.index + match[0].length }))
    .filter(({ text }) => !text.startsWith("--") && !text.startsWith("/*"));
  // the first bracket after ON opens the terms: a quoted name is one token
  const on = tokens.findIndex(({ text }) => text.toLowerCase() === "on");
  const open = tokens.findIndex(({ text }, at) => at > on && text === "(");
  const terms: string[] = [];
  let depth = 0;
  let term: Token[] = [];
  let close = open;
  for (let at = open; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (token.text === "(") depth++;
    if (token.text === ")") depth--;
    const ends = depth === 0 || (depth === 1 && token.text === ",");
    if (ends) terms.push(textOf(sql, withoutDirection(term)));
    if (ends) term = [];
    else if (at > open) term.push(token);
    if (depth === 0) {
      close = at;
      break;
    }
  }
  const after = tokens.slice(close + 1);
  const where = after.findIndex(({ text }) => text.toLowerCase() === "where");
  const condition = where < 0 ? [] : after.slice(where + 1).filter(({ text }, at, all) => !(text === ";" && at === all.length - 1));
  return { terms, where: condition.length === 0 ? null : textOf(sql, condition) };
}

function withoutDirection(term: readonly Token[]): readonly Token[] {
  const last = term.at(-1)?.text.toLowerCase();
  return last === "asc" || last === "desc" ? term.slice(0, -1) : term;
}

function textOf(sql: string, tokens: readonly Token[]): string {
  const [first] = tokens;
  const last = tokens.at(-1);
  return first === undefined || last === undefined ? "" : sql.slice(first.start, last.end);
}
