import type { KeyObject } from "node:crypto";
import { type Exported, exportMedium } from "../medium/export-medium.ts";
import { importMedia, type MediumOutcome } from "../medium/import-media.ts";
import { topologyOn } from "../medium/import-medium.ts";
import type { Verified } from "../medium/import-order.ts";
import { elsewhere } from "../medium/medium-errors.ts";
import { MediumReader } from "../medium/read-medium.ts";
import { otherOf } from "../medium/traveller.ts";
import type { Edge } from "./edge.ts";

/** Writes what the hub does not have yet to a file, with the receipt for what it sent. Works offline. */
export async function exportFromEdge(
  edge: Edge,
  options: { readonly file: string; readonly key: KeyObject; readonly passphrase: string | null; readonly again: boolean },
): Promise<Exported> {
  return exportMedium({ ...(await edge.travel()), ...options });
}

/** Takes files that the hub exported for this edge, in any order. Works offline. Throws `MEDIUM_LINK` (usage) for those of others, and what `importMedia` throws. */
export async function importAtEdge(
  edge: Edge,
  options: {
    readonly files: readonly string[];
    readonly trust: KeyObject;
    readonly passphrase: string | null;
    readonly told: (outcome: MediumOutcome) => void;
  },
): Promise<void> {
  const { files, trust, passphrase, told } = options;
  const open: MediumReader[] = [];
  try {
    for (const file of files) open.push(await MediumReader.open(file));
    const at = await edge.travel();
    const media: Verified[] = [];
    for (const medium of open) {
      const { source, target } = medium.head;
      if (source !== otherOf(at) || target !== at.node.name) throw elsewhere(medium.file, source, target);
      media.push({ medium, digest: await medium.verify(trust) });
    }
    const travel = async (medium: MediumReader) => {
      const topology = await topologyOn(medium, passphrase);
      if (topology !== undefined) await edge.learn(topology, medium.head.made_at);
      return edge.travel();
    };
    await importMedia({ media, passphrase, travel, told });
  } finally {
    for (const medium of open) await medium.close();
  }
}
