import { z } from "zod";
import { type ChannelName, channelName, packetNumber, position, scopeNumber, tableName } from "../../change/names.ts";
import { NOTHING_REFUSED, type Report } from "../../link/report.ts";
import { bigNumber, moment } from "./common.ts";

const counted = z.int().min(0);

export const statusQuery = z.object({
  features: z
    .string()
    .max(2000)
    .default("")
    .transform((text) => text.split(","))
    .meta({ description: "Those of the hub's (see …/topology) that the edge knows, with commas between them." }),
});

export const edgeStatusSchema = z.object({
  node: z.string(),
  group: z.string(),
  parent: z.string(),
  state: z.string(),
  topology: z.string().meta({ description: "The id of what GET …/topology answers; changes with it." }),
  received: z
    .object({
      packet: z.string(),
      digest: z.string().meta({ description: "Of the last packet; `previous` of the next one." }),
      epoch: z.string().nullable(),
      channels: z.record(z.string(), z.string()).meta({ description: "Positions in the edge's log up to which everything is applied." }),
      tables: z.array(z.string()).meta({ description: "Tables that have been started." }),
    })
    .meta({ description: "What the hub has of the edge." }),
  acknowledged_packet: z.string().meta({ description: "The last packet of the hub that the edge has said it has." }),
  pending_changes: counted.meta({ description: "Changes in the hub's log for the edge; more than 100,000 count as that." }),
  parked_changes: counted.meta({ description: "Of the edge, set aside at the hub." }),
  open_conflicts: counted,
  last_sync_in: moment.nullable(),
  last_sync_out: moment.nullable(),
  resync: z
    .object({ run: z.string(), tables: z.array(z.string()), direction: z.enum(["pull", "push"]) })
    .nullable()
    .meta({ description: "The two are to begin anew, and a full sync is to follow; null where that is not wanted." }),
  report: z.any().meta({ description: "The same for an edge's agent, as in an exchange." }),
});

const list = (item: z.ZodString, description: string) =>
  z
    .union([item, z.array(item)])
    .optional()
    .transform((value) => (value === undefined ? [] : [value].flat()))
    .meta({ description });

const place = /^(?:[^:]+:)?(0|[1-9]\d{0,18})$/;
const ofName = /^.+:(0|[1-9]\d{0,18})$/;

export const pullQuery = z.strictObject({
  after: list(z.string().regex(place), "`upTo` of the last packet: for all channels, or CHANNEL:POSITION of each (given several times)."),
  ahead: list(z.string().regex(ofName), "TABLE:POSITION of tables that were filled later than the position of their channel."),
  number: bigNumber.default("0").meta({ description: "Of the last packet that was applied." }),
  previous: z
    .string()
    .regex(/^([0-9a-f]{64})?$/)
    .default("")
    .meta({ description: "Its digest." }),
  tables: list(z.string().min(1), "Tables that have been filled (given several times)."),
  scopes: list(z.string().regex(ofName), "TABLE:SCOPE, as in the header of the packet that filled it."),
  wait: z.coerce
    .number<string>()
    .min(0)
    .max(55)
    .default(0)
    .meta({ description: "Where there is nothing: how long to wait for something, seconds." }),
});

/** What an edge says of itself in the query of a pull. Of a channel without a position, nothing is sent until its tables are filled. */
export function reportOfQuery(query: z.output<typeof pullQuery>, { all, nowMs }: { all: readonly ChannelName[]; nowMs: number }): Report {
  const pairs = (texts: readonly string[]): [string, bigint][] =>
    texts.map((text) => {
      const at = text.lastIndexOf(":");
      return [text.slice(0, Math.max(at, 0)), BigInt(text.slice(at + 1))];
    });
  const ahead = new Map(pairs(query.ahead).map(([table, at]) => [tableName(table), position(at)]));
  const places = pairs(query.after).flatMap(([name, at]) =>
    (name === "" ? all : [channelName(name)]).map((channel) => [channel, at] as const),
  );
  const channels = new Map(places.map(([channel, at]) => [channel, { position: position(at), ahead }]));
  return {
    state: {
      epoch: null,
      number: packetNumber(query.number),
      digest: query.previous,
      channels,
      seen: {},
      tables: new Set(query.tables.map(tableName)),
      startedAt: new Map(),
      scopes: new Map(pairs(query.scopes).map(([table, scope]) => [tableName(table), scopeNumber(scope)])),
      paused: false,
      hasParked: false,
      wanted: [],
    },
    clockMs: nowMs,
    refused: NOTHING_REFUSED,
    asked: [],
    shapes: [],
  };
}
