import { z } from "zod";

/** Pieces that the schemas of several routes are made of. */

export const moment = z.string().meta({ format: "date-time", description: "RFC 3339, UTC." });
/** Numbers that a double may not hold travel as text. */
export const bigNumber = z.string().regex(/^\d{1,18}$/);
export const named = z.string().min(1).max(200);

/** At most so many, and where the next page begins. */
export const limit = (standard: number, most: number) =>
  z.coerce.number<number>().int().min(1).max(most).default(standard).meta({ description: "At most so many." });
export const beforeId = bigNumber
  .transform(BigInt)
  .optional()
  .meta({ description: "Only those with a smaller id: the next page, as `next` of this one says." });

/** `next` of a page that is full: the id of its last record; null when that was all. `records` are one more than `limit`, where there are more. */
export function page<T extends { readonly id: bigint }>(
  records: readonly T[],
  limit: number,
): { readonly shown: readonly T[]; readonly next: string | null } {
  const shown = records.slice(0, limit);
  return { shown, next: records.length > limit ? String(shown.at(-1)?.id) : null };
}

export const idParam = z.object({ id: bigNumber.transform(BigInt) });
export const nodeParam = z.object({ node: named });

export const flag = (description: string) =>
  z
    .enum(["true", "false"])
    .default("false")
    .transform((text) => text === "true")
    .meta({ description });

/** An error as part of an answer that is none. */
export const failure = z.object({ code: z.string(), message: z.string(), hint: z.string().nullable() });
