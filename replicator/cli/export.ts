import { TomboloError } from "../change/error.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { linkName, nodeOf } from "../lifecycle/tree.ts";
import { manifestOf } from "../link/manifest.ts";
import { exportMedium } from "../medium/export-medium.ts";
import { signingKey } from "../medium/keys.ts";
import { noticesOnly } from "../operations/parked-retry.ts";
import { EXIT } from "./exit-codes.ts";
import { mediumLink } from "./medium-link.ts";
import { ownKeyFile, passphraseOf } from "./medium-options.ts";
import { tellExported } from "./medium-report.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { optionInvalid } from "./option-values.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb, text } from "./verb.ts";

export const exportVerb: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const file = input.args[0] ?? "";
  const [from, to] = [text(input, "from"), text(input, "to")];
  if (from === undefined || to === undefined) throw optionInvalid("from where to where is not said", "Give --from NODE and --to NODE.");
  const config = nodeOf(topology, from);
  const found = await mediumLink(context, topology, config.name, to);
  if (found === null || (found.group === null && found.link.transport !== "file")) {
    throw new TomboloError(`${from} and ${to} are joined by no link that travels on files`, {
      code: "MEDIUM_LINK",
      kind: "usage",
      hint: found === null ? "Name the two ends of a link." : `Add \`transport: file\` to the link ${linkName(found.link)}.`,
    });
  }
  const { link, group } = found;
  const key = await signingKey(ownKeyFile(topology));
  const passphrase = await passphraseOf(context, input);
  const observer = noticesOnly(await context.logger());
  return withNodes(context, [config], async (nodes) => {
    const node = reachedNode(nodes, config.name);
    const judge = await context.parts.judge();
    const made = await exportMedium({
      ...{ node, link, topology, judge, observer, key, passphrase, file },
      ...(group !== null && { manifest: manifestOf({ topology, link, group, engine: node.engine }) }),
      again: flag(input, "again"),
      now: systemTimers.now,
    });
    tellExported(context, { file, from, to, made, encrypted: passphrase !== null });
    return EXIT.done;
  });
};
