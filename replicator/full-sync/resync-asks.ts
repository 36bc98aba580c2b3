import { z } from "zod";
import { type ChannelName, channelName, epoch, type Position, packetNumber, position } from "../change/names.ts";

/** What an edge and its hub ask each other when they begin anew: see docs/edges.md. */

const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const pairs = z.array(z.tuple([z.string().min(1).max(500), digits])).max(10_000);
const places = pairs.transform(
  (told): ReadonlyMap<ChannelName, Position> => new Map(told.map(([channel, at]) => [channelName(channel), position(at)])),
);

/** Where the edge is; null where it knows nothing of its hub. */
export const marksRequest = z.strictObject({
  marks: z
    .strictObject({
      received: places.meta({ description: "Of the hub's log, by channel: how far it was applied at the edge." }),
      sent: places.meta({ description: "Of the edge's log, by channel: how far it knows the hub to have it." }),
    })
    .nullable(),
});

/** From where on the edge is to go on. */
export const anewJson = z.object({
  received: pairs.meta({ description: "In the hub's log, by channel." }),
  sent: pairs.meta({ description: "In the edge's own log, by channel; where that no longer reaches back so far, from where it does." }),
  received_packet: digits.meta({ description: "The edge's last packet at the hub, of which this is." }),
});

/** The same as an edge reads it. */
export const anewAnswer = z.looseObject({ received: places, sent: places, received_packet: z.string() });

/** The edge has begun anew, from there. */
export const begunRequest = z.strictObject({
  epoch: z.uuid().transform(epoch).meta({ description: "Of the edge's database, from now on." }),
  received: places.meta({ description: "As the hub has answered it." }),
  sent: places.meta({ description: "In the edge's own log, by channel." }),
  received_packet: digits.transform(packetNumber).meta({ description: "As the hub has answered it." }),
});

export const placesJson = (map: ReadonlyMap<ChannelName, Position>): [string, string][] =>
  [...map].map(([channel, at]) => [channel, at.toString()]);
