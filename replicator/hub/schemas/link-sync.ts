import { z } from "zod";
import { named } from "./common.ts";

export const linkParams = z.object({ parent: named, child: named });

export const linkSyncSchema = z
  .object({
    parent: z.string(),
    child: z.string(),
    sent: z.int().meta({ description: "Changes that went up." }),
    received: z.int().meta({ description: "Changes that came down." }),
    conflicts: z.int().meta({ description: "In either direction." }),
    conflicts_open: z.int().meta({ description: "Of these, those that wait for a person." }),
    parked: z.int(),
    replicator: z.string().nullable().meta({
      description: "Who replicates the topology and carried them: they are then those that were pending. Null where the request did it.",
    }),
    pending_changes: z.int().meta({ description: "Changes of before that have not arrived yet." }),
  })
  .meta({ description: "As `tombolo sync` tells it." });
