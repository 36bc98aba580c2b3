const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|[\p{L}\p{N}_$]+|\S/gu;

/**
 * The collations that a table's columns are declared with, by name in lower case; a column that is missing has BINARY. SQLite tells them nowhere but in
 * the text of the table, which it has parsed before us: brackets and quotes match, and the first bracket opens the columns.
 */
export function declaredCollations(createTable: string): ReadonlyMap<string, string> {
  const collations = new Map<string, string>();
  let depth = 0;
  let column: string | null = null;
  let before = "";
  for (const [token] of createTable.matchAll(TOKEN)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    if (token === "(") depth++;
    // the columns begin, or the next one does; what is in brackets of its own says nothing about the column
    if ((token === "(" || token === ",") && depth === 1) column = null;
    else if (token === ")") depth--;
    else if (depth === 1) {
      if (column === null) column = unquoted(token).toLowerCase();
      else if (before === "collate") collations.set(column, unquoted(token));
      before = token.toLowerCase();
    }
  }
  return collations;
}

function unquoted(token: string): string {
  const [first = ""] = token;
  if (first === "[") return token.slice(1, -1);
  return first === '"' || first === "`" || first === "'" ? token.slice(1, -1).replaceAll(first + first, first) : token;
}
