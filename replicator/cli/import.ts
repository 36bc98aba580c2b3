import { systemTimers } from "../lifecycle/timers.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import { importMedia } from "../medium/import-media.ts";
import type { Verified } from "../medium/import-order.ts";
import { trustedKey } from "../medium/keys.ts";
import { elsewhere } from "../medium/medium-errors.ts";
import { MediumReader } from "../medium/read-medium.ts";
import { noticesOnly } from "../operations/parked-retry.ts";
import type { Topology, TopologyLink, TopologyNode } from "../topology/topology.ts";
import { EXIT } from "./exit-codes.ts";
import { mediumLink } from "./medium-link.ts";
import { keyFileOf, passphraseOf } from "./medium-options.ts";
import { type ImportReport, importReport, printImported } from "./medium-report.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { requireTopology } from "./topology-file.ts";
import type { CommandContext, RunVerb } from "./verb.ts";

/** Media from one node to another, in the order in which they were given. */
interface Route {
  readonly source: string;
  readonly target: TopologyNode;
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
    const routes = await routesOf(context, topology, open);
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

async function routesOf(context: CommandContext, topology: Topology, media: readonly MediumReader[]): Promise<readonly Route[]> {
  const routes: Route[] = [];
  for (const medium of media) {
    const { source, target } = medium.head;
    const known = routes.find((route) => route.source === source && route.target.name === target);
    const found = known ?? (await mediumLink(context, topology, source, target));
    if (found === null || ("group" in found && found.group === null && found.link.transport !== "file")) {
      throw elsewhere(medium.file, source, target);
    }
    const digest = await medium.verify(await trustedKey(keyFileOf(topology, source)));
    if (known !== undefined) known.media.push({ medium, digest });
    else routes.push({ source, target: nodeOf(topology, target), link: found.link, media: [{ medium, digest }] });
  }
  return routes;
}

interface World {
  readonly context: CommandContext;
  readonly topology: Topology;
  readonly passphrase: string | null;
  readonly told: ImportReport[];
}

async function importRoute({ context, topology, passphrase, told }: World, { target, link, media }: Route): Promise<void> {
  const observer = noticesOnly(await context.logger());
  await withNodes(context, [target], async (nodes) => {
    const node = reachedNode(nodes, target.name);
    const judge = await context.parts.judge();
    const at = { node, link, topology, judge, observer, now: systemTimers.now };
    await importMedia({
      media,
      passphrase,
      travel: async () => at,
      told: (outcome) => {
        told.push(importReport(outcome));
        if (!context.json) printImported(context.out, outcome);
      },
    });
  });
}
