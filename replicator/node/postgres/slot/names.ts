/** The publication: one in the database, as there is one schema `tombolo`. */
export const PUBLICATION = "tombolo";

/** A slot's name counts for the whole cluster: so the database is in it. Lower-case letters, digits and `_` only, at most 63. */
export const slotName = (databaseOid: string, node: string): string =>
  `tombolo_${databaseOid}_${node.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_")}`.slice(0, 63);

/** `application_name` of a node's walsender. */
export const streamName = (node: string): string => `tombolo ${node} slot`.slice(0, 63);
