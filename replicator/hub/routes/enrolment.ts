import { TomboloError } from "../../change/error.ts";
import { PACKET_PROTOCOLS } from "../../change/packet-limits.ts";
import type { TokenRecord } from "../../node/token-desk.ts";
import type { Topology, TopologyGroup } from "../../topology/topology.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { ROTATION_GRACE_MS, rotate } from "../issue.ts";
import { nodeParam } from "../schemas/common.ts";
import { enrolAnswer, enrolRequest, rotated } from "../schemas/tokens.ts";
import { isSecretOf, newSecret, readSecret } from "../secret.ts";
import { codeInvalid, tokenRotated } from "../token-errors.ts";

/** How an edge gets its token, and a new one in its place. */
export const enrolmentRoutes: RoutePlugin = (server, hub) => {
  server.post(
    "/v1/enrol",
    {
      config: { access: "public" },
      schema: {
        operationId: "enrol",
        tags: ["edges"],
        summary: "Exchange a one-time code for the token of an edge",
        description: "A code works once: of several that try at once, one gets the token. Tokens that the edge had before end at once.",
        body: enrolRequest,
        response: { 201: enrolAnswer },
      },
    },
    async ({ body, ip, id }, reply) => {
      const secret = readSecret(body.code);
      hub.guesses.check(ip, secret?.handle ?? "");
      const desk = await hub.tokens();
      const code = secret?.kind === "code" ? await desk.find("code", secret.handle) : null;
      if (secret === null || !isSecretOf(secret, code)) {
        hub.guesses.wrong(ip);
        throw codeInvalid();
      }
      // before the code is spent: where the topology has no such group any more, it stays good
      const group = groupOf(hub.topology(), code);
      const token = newSecret("token");
      const record = await desk.redeem(code.id, { ...token, by: code.name });
      if (record === null) throw codeInvalid();
      hub.log.info({ node: record.node, group: group.name, token: record.handle, request_id: id }, "an edge has enrolled");
      return reply.code(201).send({
        node: record.node ?? "",
        group: group.name,
        parent: group.parent,
        params: { ...record.params },
        token: token.text,
        expires_at: record.expiresAt,
        topology: hub.topology().name,
        version: hub.version,
        time: new Date(hub.timers.now()).toISOString(),
        protocol: PACKET_PROTOCOLS,
      });
    },
  );
  server.post(
    "/v1/nodes/:node/token/rotate",
    {
      config: { access: ["node"] },
      schema: {
        operationId: "rotateOwnToken",
        tags: ["edges"],
        summary: "A new token in the place of the one that the request carries",
        description: "The old one works for another hour. Where the answer is lost, asking again with the old one gives another new token.",
        params: nodeParam,
        response: { 200: rotated },
      },
    },
    async (request) => {
      const { tokenId, name } = callerOf(request);
      const issued = await rotate(await hub.tokens(), tokenId, ROTATION_GRACE_MS, name);
      if (issued === null) throw tokenRotated();
      const until = new Date(hub.timers.now() + ROTATION_GRACE_MS).toISOString();
      return { token: issued.secret, expires_at: issued.record.expiresAt, old_until: until };
    },
  );
};

function groupOf({ groups }: Topology, { group }: TokenRecord): TopologyGroup {
  const found = groups.find(({ name }) => name === group);
  if (found !== undefined) return found;
  throw new TomboloError(`the topology has no group ${group} any more`, {
    code: "GROUP_UNKNOWN",
    kind: "usage",
    hint: "Put it back into the topology, or make a code for another group.",
  });
}
