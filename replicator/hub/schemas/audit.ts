import { z } from "zod";
import { moment } from "./common.ts";

export const auditSchema = z.object({
  id: z.string(),
  at: moment,
  who: z.string(),
  what: z.string(),
  details: z.record(z.string(), z.unknown()).nullable(),
});
