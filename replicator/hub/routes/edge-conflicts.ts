import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import type { ConflictRecord } from "../../node/conflict-desk.ts";
import { conflictUnknown } from "../../node/conflict-errors.ts";
import { conflictReport } from "../../operations/conflict-report.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { EdgeDesk, type EdgePlace } from "../edge-desk.ts";
import { beforeId, bigNumber, flag, limit, named, nodeParam, page } from "../schemas/common.ts";
import { conflictSchema, decisionSchema } from "../schemas/desks.ts";

const NODE = { access: ["node"] } as const;

/** An edge's own conflicts: those about its changes. */
export const edgeConflictRoutes: RoutePlugin = (server, hub) => {
  const desk = new EdgeDesk(hub);
  server.get(
    "/v1/nodes/:node/conflicts",
    {
      config: NODE,
      schema: {
        operationId: "listOwnConflicts",
        tags: ["edges"],
        summary: "Conflicts about changes of this edge, newest first",
        description:
          "Of a table of which the edge is given some rows only, the parent's row and the result are not told: they may not be among them.",
        params: nodeParam,
        querystring: z.strictObject({ open: flag("Only those that wait for a person."), limit: limit(50, 1000), before: beforeId }),
        response: { 200: z.object({ conflicts: z.array(conflictSchema), next: z.string().nullable() }) },
      },
    },
    async (request) => {
      const place = await desk.place(callerOf(request));
      const { open, before } = request.query;
      const records = await place.node.conflicts.list({
        childNode: place.link.child,
        limit: request.query.limit + 1,
        ...(open ? { open } : {}),
        ...(before === undefined ? {} : { before }),
      });
      const { shown, next } = page(records, request.query.limit);
      return { conflicts: shown.map((record) => conflictReport(place.node.name, asTold(place, record))), next };
    },
  );
  server.post(
    "/v1/nodes/:node/conflicts/:id/resolve",
    {
      config: NODE,
      schema: {
        operationId: "resolveOwnConflict",
        tags: ["edges"],
        summary: "Decide a conflict about a change of this edge; the decision replicates",
        description:
          "Nothing is done where the row has changed since the conflict. Of a table of which the edge is given some rows only, it may only leave the parent's row.",
        params: z.object({ node: named, id: bigNumber.transform(BigInt) }),
        body: decisionSchema,
        response: { 200: z.object({ conflict: conflictSchema }) },
      },
    },
    async (request) => {
      const place = await desk.place(callerOf(request));
      const { id } = request.params;
      const record = (await place.node.conflicts.show(id))?.record;
      // one of another edge is one that there is not
      if (record === undefined || record.childNode !== place.link.child) throw conflictUnknown(place.node.name, id);
      const { take, set = {} } = request.body;
      if (isFiltered(place, record) && take !== "parent") throw notByAnEdge(record);
      const by = { who: `edge ${place.link.child}`, force: false };
      const decided = await place.node.conflicts.resolve(record, take === undefined ? { set } : { take }, by);
      return { conflict: conflictReport(place.node.name, asTold(place, decided)) };
    },
  );
};

const isFiltered = ({ manifest }: EdgePlace, { table }: ConflictRecord): boolean =>
  !manifest.channels.some(({ tables }) => tables.some(({ name, filtered }) => name === table && !filtered));

const asTold = (place: EdgePlace, record: ConflictRecord): ConflictRecord =>
  isFiltered(place, record) ? { ...record, parent: null, result: null } : record;

const notByAnEdge = ({ id }: ConflictRecord): TomboloError =>
  new TomboloError(`conflict ${id} is about a table of which the edge is given some rows only`, {
    code: "ROLE_FORBIDDEN",
    kind: "usage",
    hint: "An operator of the hub decides it; the edge may leave the parent's row.",
  });
