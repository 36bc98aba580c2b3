import { z } from "zod";
import { topologyFile } from "./file-schema.ts";

/** A JSON Schema, draft-07, as far as the topology's has it. */
export interface JsonSchema {
  title?: string;
  description?: string;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  default?: unknown;
  examples?: unknown[];
  properties?: { [key: string]: JsonSchema };
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  [keyword: string]: unknown;
}

/**
 * The JSON Schema (draft-07) of a topology file as it is written, before its `${…}` are replaced: where a number, a choice or
 * a text of some form is wanted, a text with `${…}` may stand too. What needs more than one key to tell is left to `validate`.
 */
export function topologySchema(): JsonSchema {
  return z.toJSONSchema(topologyFile, {
    target: "draft-7",
    io: "input",
    override: ({ jsonSchema }) => admitVariables(jsonSchema as JsonSchema),
  }) as JsonSchema;
}

const VARIABLE: JsonSchema = { type: "string", pattern: "\\$\\{" };
const FORM = ["type", "pattern", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

function admitVariables(schema: JsonSchema): void {
  // a section's own default says nothing: those of its keys do
  if (typeof schema.default === "object" && schema.type !== "array") delete schema.default;
  const restricted =
    schema.type === "number" ||
    schema.type === "integer" ||
    schema.type === "boolean" ||
    schema.pattern !== undefined ||
    schema.enum !== undefined;
  // a constant tells the kinds of node apart, and that is not left to a variable
  if (!restricted || schema.const !== undefined) return;
  const form: JsonSchema = {};
  for (const key of FORM) {
    if (schema[key] === undefined) continue;
    form[key] = schema[key];
    delete schema[key];
  }
  schema.anyOf = [form, { ...VARIABLE }];
}
