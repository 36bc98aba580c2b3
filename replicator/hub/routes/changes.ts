import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import { hubOf, nodeOf, wantedTables } from "../../lifecycle/tree.ts";
import { changesSince, type Place, readPlace, writePlace } from "../../operations/changes-since.ts";
import type { RoutePlugin } from "../context.ts";
import { limit, moment, named } from "../schemas/common.ts";

/** Intermediaries cut off what is silent for a minute. */
const LONGEST_WAIT_S = 50;

const row = z.record(z.string(), z.unknown());

const answer = z.object({
  node: z.string(),
  position: z.string().meta({ description: "For `after` of the next request." }),
  more: z.boolean().meta({ description: "There is more already: ask again at once." }),
  changes: z.array(
    z.object({
      table: z.string(),
      op: z.enum(["insert", "update", "delete", "truncate", "refresh"]),
      key: row,
      old: row.nullable().meta({ description: "Of an update, the changed columns; of a delete, the row." }),
      new: row.nullable().meta({ description: "Of an update, the changed columns; of an insert, the row." }),
      changed_at: moment,
    }),
  ),
});

/** What has changed in a node since a position. */
export const changesRoutes: RoutePlugin = (server, hub) => {
  server.get(
    "/v1/changes",
    {
      config: { access: ["viewer"] },
      schema: {
        operationId: "changesSince",
        tags: ["nodes"],
        summary: "The changes of a node since a position, in an order in which they can be replayed",
        description:
          "Without `after` it answers where the log ends now. The log holds what was written at the node, and of what came from neighbours that which others have yet to hear. Of a SQLite node changes are net: a row that changed twice may come once. Where the log no longer reaches back the answer is 410 `POSITION_UNKNOWN`; an outsider that reads does not keep the log from being purged.",
        querystring: z.strictObject({
          node: named.optional().meta({ description: "The hub where it is not said." }),
          table: named.optional().meta({ description: "Only this one." }),
          after: z.string().max(60).optional().meta({ description: "`position` of the answer before; `0` for all that the log holds." }),
          limit: limit(1000, 10_000),
          wait: z.coerce
            .number<number>()
            .int()
            .min(0)
            .max(LONGEST_WAIT_S)
            .default(0)
            .meta({ description: "Seconds to wait for a change where there is none." }),
        }),
        response: { 200: answer },
      },
    },
    async ({ query, raw, id }) => {
      const topology = hub.topology();
      const config = query.node === undefined ? hubOf(topology) : nodeOf(topology, query.node);
      const node = await hub.node(config.name);
      const all = wantedTables(topology, config).map(({ table }) => table);
      const tables = query.table === undefined ? all : all.filter((table) => table === query.table);
      if (tables.length === 0) throw tableUnknown(query.table ?? "", all);
      if (query.after === undefined) {
        return { node: config.name, position: `${(await node.log.tick()).position}`, more: false, changes: [] };
      }
      const place = placeOf(query.after);
      let page = await changesSince(node, tables, place, query.limit);
      if (page.changes.length === 0 && query.wait > 0) {
        hub.log.debug({ node: config.name, request_id: id }, "a reader waits for changes");
        const gone = new AbortController();
        raw.once("close", () => gone.abort());
        await node.log.news(page.next.after, AbortSignal.any([hub.closing, gone.signal, AbortSignal.timeout(query.wait * 1000)]));
        page = await changesSince(node, tables, page.next, query.limit);
      }
      const changes = page.changes.map((change) => ({ ...change, op: change.op as z.output<typeof answer>["changes"][number]["op"] }));
      return { node: config.name, position: writePlace(page.next), more: page.more, changes };
    },
  );
};

function placeOf(text: string): Place {
  const place = readPlace(text);
  if (place !== null) return place;
  throw new TomboloError("after is no position", {
    code: "REQUEST_INVALID",
    kind: "usage",
    hint: "Give the position of an earlier answer, or 0.",
  });
}

const tableUnknown = (table: string, known: readonly string[]): TomboloError =>
  new TomboloError(`the node does not take part in a table ${table}`, {
    code: "TABLE_UNKNOWN",
    kind: "usage",
    hint: `Its tables are ${known.join(", ")}.`,
  });
