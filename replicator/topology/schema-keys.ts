import { z } from "zod";
import { topologyFile } from "./file-schema.ts";
import { valueAt } from "./plain-value.ts";
import type { Path } from "./source.ts";

/** The keys that the schema knows at a path; in a union of maps, those of the one that the value's `type` names. */
export function keysAt(path: Path, root: unknown): string[] {
  let schemas: z.core.$ZodType[] = [topologyFile];
  let value: unknown = root;
  for (const step of [...path, null]) {
    schemas = schemas.flatMap((schema) => unwrapped(schema, value));
    if (step === null) break;
    schemas = schemas.flatMap((schema) => inside(schema, step));
    value = valueAt(value, [step]);
  }
  return schemas.flatMap((schema) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []));
}

function unwrapped(schema: z.core.$ZodType, value: unknown): z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrapped(schema.def.innerType, value);
  if (!(schema instanceof z.ZodUnion)) return [schema];
  const options = schema.def.options.flatMap((option: z.core.$ZodType) => unwrapped(option, value));
  const type = valueAt(value, ["type"]);
  const named = options.filter((option: z.core.$ZodType) => option instanceof z.ZodObject && option.shape.type?.safeParse(type).success);
  return named.length > 0 ? named : options;
}

function inside(schema: z.core.$ZodType, step: string | number): z.core.$ZodType[] {
  if (schema instanceof z.ZodArray) return [schema.def.element];
  const child: z.core.$ZodType | undefined = schema instanceof z.ZodObject ? schema.shape[step] : undefined;
  return child === undefined ? [] : [child];
}
