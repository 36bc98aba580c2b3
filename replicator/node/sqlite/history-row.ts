import type { Row } from "../../change/value.ts";

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Reads what `historyJson` wrote, with all digits of its numbers; null stays null. */
export function historyRow(text: string | null): Row | null {
  if (text === null) return null;
  let exact = "";
  for (let at = 0; at < text.length; ) {
    // between strings there are numbers; what stands in a string is left alone
    const quote = text.indexOf('"', at);
    const between = quote < 0 ? text.length : quote;
    exact += text.slice(at, between).replace(NUMBER, withClass);
    at = quote < 0 ? between : endOfString(text, quote);
    exact += text.slice(between, at);
  }
  return JSON.parse(exact) as Row;
}

const withClass = (number: string): string => (/[.eE]/.test(number) ? `{"r":"${String(Number(number))}"}` : `{"i":"${number}"}`);

/** Just behind the quote that ends the string: one with an even number of backslashes before it. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}
