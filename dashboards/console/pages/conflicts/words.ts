import type { ConflictKind } from "../../../../replicator/change/verdict.ts";
import type { Conflict, Taken } from "../../api/desk-types.ts";

const TEXTS: Readonly<Record<ConflictKind, string>> = {
  update_update: "Both changed the row",
  update_delete: "Parent changed, child deleted",
  delete_update: "Parent deleted, child changed",
  insert_insert: "Both inserted the key",
  unique: "A unique value is taken",
  foreign_key: "A row that is referred to",
  check: "A constraint refuses it",
  filter: "Outside of the child's rows",
};

export const KINDS = Object.keys(TEXTS) as readonly ConflictKind[];

export const kindText = (kind: string): string => TEXTS[kind as ConflictKind] ?? kind.replaceAll("_", " ");

const RESOLUTIONS: Readonly<Record<string, string>> = {
  parent: "the parent's",
  child: "the child's",
  base: "the base",
  merged: "merged",
  values: "given values",
  open: "nobody has decided",
};

/** What became of it, in a word or two. */
export const resolutionText = ({ resolution }: Pick<Conflict, "resolution">): string => RESOLUTIONS[resolution] ?? resolution;

export const TAKE_TEXT: Readonly<Record<Taken, string>> = { parent: "the parent's", child: "the child's", base: "the base" };
export const TAKES: readonly Taken[] = ["parent", "child", "base"];
