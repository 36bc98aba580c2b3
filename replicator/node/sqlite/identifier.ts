/** The one way a name gets into SQL. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A string as a SQL literal, for DDL, which takes no parameters. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
