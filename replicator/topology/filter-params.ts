/** The names of the `:parameters` of a filter, each once; a `::cast`, a text in quotes, a quoted name and an array slice have none. */
export function filterParams(filter: string): string[] {
  const names = new Set<string>();
  for (const match of filter.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|::|(?<![A-Za-z0-9_\])]):([A-Za-z_][A-Za-z0-9_]*)/g)) {
    if (match[1] !== undefined) names.add(match[1]);
  }
  return [...names];
}
