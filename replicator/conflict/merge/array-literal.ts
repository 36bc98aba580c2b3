/** Reads a Postgres array of one dimension as it is printed, `{a,"b c",NULL}`; undefined for more dimensions, bounds of its own, and anything else. */
export function readArrayLiteral(text: string): (string | null)[] | undefined {
  if (text === "{}") return [];
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined;
  const elements: (string | null)[] = [];
  let at = 1;
  while (at < text.length) {
    ELEMENT.lastIndex = at;
    const match = ELEMENT.exec(text);
    if (match === null) return undefined;
    const [all, quoted, bare = ""] = match;
    if (quoted === undefined && bare === "") return undefined;
    elements.push(quoted === undefined ? readBare(bare) : quoted.replace(/\\(.)/gs, "$1"));
    at += all.length;
  }
  // the last element is the one before the brace that ends the text
  return text[at - 1] === "}" ? elements : undefined;
}

/** An element and what ends it: a comma, or the last brace. */
const ELEMENT = /(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^",{}\\\s]+))(?:,|\}$)/sy;

const readBare = (bare: string): string | null => (bare === "NULL" ? null : bare);

/** As Postgres prints it. */
export const writeArrayLiteral = (elements: readonly (string | null)[]): string => `{${elements.map(writeElement).join(",")}}`;

function writeElement(element: string | null): string {
  if (element === null) return "NULL";
  const needsQuotes = element === "" || /^null$/i.test(element) || /[",{}\\\s]/.test(element);
  return needsQuotes ? `"${element.replace(/["\\]/g, "\\$&")}"` : element;
}
