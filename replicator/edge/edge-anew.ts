import { failpoint } from "../change/failpoints.ts";
import { anewAnswer, placesJson } from "../full-sync/resync-asks.ts";
import { forgetIdentity } from "../link/identities.ts";
import type { EdgeLinkPlace } from "./edge-link-place.ts";

/**
 * The edge and its hub begin anew, as the hub's operator wants; the full sync of that run is to follow. The hub says from where, the edge restarts its side, then the hub its
 * own. Done again, whatever it was that broke it off, it comes to the same. The edge gets another epoch: a packet of before, or a copy of the database that someone
 * else goes on with, is not taken for it from then on. Throws `RESYNC_GONE` and `PACKET_GAP` (retry), and what the hub answers.
 */
export async function beginAnewWithHub({ node, link, client }: EdgeLinkPlace, run: bigint, signal: AbortSignal): Promise<void> {
  const hub = link.parent;
  const path = `/v1/nodes/${encodeURIComponent(node.name)}/resync/${run}`;
  const json = { method: "POST", type: "application/json", signal } as const;
  await node.target.meet([{ name: hub, role: "parent" }]);
  const below = await node.rejoin.marks(hub);
  const marks = below === null ? null : { received: placesJson(below.received), sent: placesJson(below.sent) };
  const told = await client.json(anewAnswer, { ...json, path, body: JSON.stringify({ marks }) });
  failpoint("edge.anew_told");
  await node.rejoin.renew();
  forgetIdentity(node);
  const sent = await node.rejoin.restart(hub, { received: told.received, sent: told.sent });
  const { epoch } = await node.installation.identity();
  const body = { epoch, received: placesJson(told.received), sent: placesJson(sent), received_packet: told.received_packet };
  const answer = await client.send({ ...json, path: `${path}/begun`, body: JSON.stringify(body) });
  await answer.body.dump();
  failpoint("edge.anew_begun");
}
