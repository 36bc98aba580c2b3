import pg from "pg";

/** The one way an identifier gets into a statement. */
export const ident = (name: string): string => pg.escapeIdentifier(name);

export const qualified = (schema: string, table: string): string => `${ident(schema)}.${ident(table)}`;

/** A text as a literal, for the statements that take no parameters. */
export const literal = (text: string): string => pg.escapeLiteral(text);
