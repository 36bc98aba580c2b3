import { z } from "zod";
import { NOTIFIED_EVENTS } from "../../topology/notification-fields.ts";
import { failure, moment } from "./common.ts";

export const notificationTargetSchema = z.object({
  target: z.string(),
  type: z.enum(["webhook", "email"]),
  events: z.array(z.enum(NOTIFIED_EVENTS)),
  waiting: z.int().meta({ description: "Messages that it has not taken yet." }),
  oldest_at: moment.nullable().meta({ description: "Since when the oldest of them waits." }),
  last_error: z.string().nullable(),
});

export const notificationTestSchema = z.object({
  target: z.string(),
  type: z.enum(["webhook", "email"]),
  outcome: z.enum(["sent", "failed"]),
  error: failure.nullable(),
});
