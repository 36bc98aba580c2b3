import pg from "pg";

/** The one way an identifier gets into a statement. */
export const ident = (name: string): string => pg.escapeIdentifier(name);

export const qualified = (schema: string, table: string): string => `${ident(schema)}.${ident(table)}`;
