import type { Json, JsonArray } from "./json-value.ts";

/** One place of three trees; undefined where there is nothing. */
export interface JsonEdits {
  readonly base: Json | undefined;
  readonly parent: Json | undefined;
  readonly child: Json | undefined;
  /** Where in the tree, e.g. `$.items[2].price`. */
  readonly path: string;
}

export interface ArrayEdits {
  readonly base: JsonArray;
  readonly parent: JsonArray;
  readonly child: JsonArray;
  readonly path: string;
}

/** Two edits that exclude each other, somewhere in the tree; ends the merge of the whole. The message names the path. */
export class JsonOverlap extends Error {}
