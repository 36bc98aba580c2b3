/**
 * Which rows of a table a child is given, and may write. The text is the operator's, from the topology: a condition in the SQL of the parent's
 * engine over the table's own columns. Parameters (`:region`) are always bound, never put into the text.
 */
export interface RowFilter {
  readonly text: string;
  readonly params: { readonly [name: string]: string };
}

/** A filter to be checked. Parameters that nobody has given yet, as those of edges that have not enrolled, are null. */
export interface FilterForm {
  readonly text: string;
  readonly params: { readonly [name: string]: string | null };
}
