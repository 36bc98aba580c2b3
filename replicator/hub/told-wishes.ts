import { TomboloError } from "../change/error.ts";
import type { EdgePlace } from "./edge-desk.ts";
import type { Wishes } from "./wish-board.ts";

/**
 * What is wanted of an edge, as far as it understands it (see `EXCHANGE_FEATURES`). Of the rest it is told nothing; only that the two begin anew is nothing that may wait
 * for a newer version, because nothing else goes on without it: whoever asked for it is told so.
 */
export async function toldWishes(
  { node, link, wishes }: Pick<EdgePlace, "node" | "link" | "wishes">,
  features: readonly string[],
  { oldMs }: { readonly oldMs: number },
): Promise<Wishes> {
  const wanted = await wishes.of(link.child, { oldMs });
  if (wanted.resync !== undefined && !features.includes("resync"))
    await node.copies.runs.refuse(BigInt(wanted.resync.run), describe(tooOld(link.child)));
  const fill = wanted.full_sync ?? wanted.full_sync_push ?? wanted.resync;
  if (fill?.verify && !features.includes("verify")) {
    await node.copies.runs.refuse(BigInt(fill.run), describe(cannotVerify(link.child)));
    const { reconcile } = wanted;
    return reconcile !== undefined && features.includes("reconcile") ? { reconcile } : {};
  }
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => features.includes(name)));
}

const describe = ({ message, hint, code }: TomboloError): string => `${message}: ${hint} (${code})`;

const cannotVerify = (edge: string): TomboloError =>
  new TomboloError(`${edge} runs a version whose full syncs cannot end with a comparison`, {
    code: "EDGE_TOO_OLD",
    kind: "operator",
    hint: "upgrade it; or leave out --verify, and compare the two afterwards with `tombolo reconcile`",
  });

const tooOld = (edge: string): TomboloError =>
  new TomboloError(`${edge} runs a version that cannot begin anew over HTTP`, {
    code: "EDGE_TOO_OLD",
    kind: "operator",
    hint: "upgrade it; or let it enrol anew, which has all of its rows judged like those of a new edge",
  });
