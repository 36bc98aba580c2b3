import type { NodeName } from "../change/names.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import { hearMedium, type Imported, importMedium } from "../medium/import-medium.ts";
import { inOrder, type Verified } from "../medium/import-order.ts";
import { trustedKey } from "../medium/keys.ts";
import { elsewhere, forked } from "../medium/medium-errors.ts";
import { type Place, placeOf } from "../medium/medium-state.ts";
import { MediumReader } from "../medium/read-medium.ts";
import { remember } from "../medium/traveller.ts";
import { noticesOnly } from "../operations/parked-retry.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { EXIT } from "./exit-codes.ts";
import { keyFileOf, linkBetween, passphraseOf } from "./medium-options.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { type Output, plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { CommandContext, RunVerb } from "./verb.ts";

/** Media from one node to another, in the order in which they were given. */
interface Route {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly link: TopologyLink;
  readonly media: Verified[];
}

export const importVerb: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const passphrase = await passphraseOf(context, input);
  const open: MediumReader[] = [];
  try {
    for (const file of input.args) open.push(await MediumReader.open(file));
    // every one is whole, and from whom it says, before anything of the first is taken
    const routes = await routesOf(topology, open);
    const told: ImportReport[] = [];
    try {
      for (const route of routes) await importRoute({ context, topology, passphrase, told }, route);
    } finally {
      if (context.json) context.out.json({ imported: told });
    }
    return EXIT.done;
  } finally {
    for (const medium of open) await medium.close();
  }
};

async function routesOf(topology: Topology, media: readonly MediumReader[]): Promise<readonly Route[]> {
  const routes: Route[] = [];
  for (const medium of media) {
    const { source, target } = medium.head;
    const link = linkBetween(topology, source, target);
    if (link?.transport !== "file") throw elsewhere(medium.file, source, target);
    const digest = await medium.verify(await trustedKey(keyFileOf(topology, source)));
    const known = routes.find((route) => route.source === source && route.target === target);
    if (known !== undefined) known.media.push({ medium, digest });
    else routes.push({ source: nodeOf(topology, source).name, target: nodeOf(topology, target).name, link, media: [{ medium, digest }] });
  }
  return routes;
}

interface World {
  readonly context: CommandContext;
  readonly topology: Topology;
  readonly passphrase: string | null;
  readonly told: ImportReport[];
}

/** What came of a file, for `--json`. */
interface ImportReport {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly number: number;
  readonly taken: boolean;
  readonly changes: number;
  readonly conflicts: number;
  readonly parked: number;
  readonly partial: boolean;
}

async function importRoute({ context, topology, passphrase, told }: World, { source, target, link, media }: Route): Promise<void> {
  const observer = noticesOnly(await context.logger());
  await withNodes(context, [nodeOf(topology, target)], async (nodes) => {
    const node = reachedNode(nodes, target);
    const judge = await context.parts.judge();
    const { state } = await remember(node, source);
    for (const { medium, digest } of inOrder(media, state)) {
      const place = placeOf((await remember(node, source)).state, { ...medium.head, digest });
      const given = { node, link, topology, judge, observer, medium, digest, passphrase, now: systemTimers.now };
      if (place !== "next" && place !== "taken") await hearMedium(given);
      if (place === "fork" || place === "ahead") throw forked(medium.file, source);
      const taken = place === "next" ? await importMedium(given) : null;
      told.push(reportOf(medium, taken));
      if (!context.json) print(context.out, { medium, place, taken });
    }
  });
}

function reportOf({ file, head }: MediumReader, taken: Imported | null): ImportReport {
  const { changes = 0, conflicts = 0, parked = 0, isPartial = false } = taken ?? {};
  const { source, target, number } = head;
  return { file, from: source, to: target, number, taken: taken !== null, changes, conflicts, parked, partial: isPartial };
}

function print(out: Output, { medium, place, taken }: { medium: MediumReader; place: Place; taken: Imported | null }): void {
  const { source, target, number } = medium.head;
  const what = `${medium.file}: medium ${number} from ${source} to ${target}`;
  if (taken === null) {
    out.line(`${what}: ${place === "taken" ? "was taken before" : "is older than what was taken"}, passed over`);
    return;
  }
  const counts = [
    plural(taken.changes, "change"),
    `${plural(taken.conflicts, "conflict")} resolved`,
    ...(taken.parked > 0 ? [`${taken.parked} parked`] : []),
  ];
  out.line(`${what}: ${counts.join(", ")}`);
  if (taken.isPartial)
    out.note(`${source} has to send rows again before the rest can be taken: export from ${target}, and import that at ${source}`);
}
