import { TomboloError } from "../change/error.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { linkName, nodeOf } from "../lifecycle/tree.ts";
import { exportMedium } from "../medium/export-medium.ts";
import { signingKey } from "../medium/keys.ts";
import { noticesOnly } from "../operations/parked-retry.ts";
import { EXIT } from "./exit-codes.ts";
import { linkBetween, ownKeyFile, passphraseOf } from "./medium-options.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { optionInvalid } from "./option-values.ts";
import { plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb, text } from "./verb.ts";

export const exportVerb: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const file = input.args[0] ?? "";
  const [from, to] = [text(input, "from"), text(input, "to")];
  if (from === undefined || to === undefined) throw optionInvalid("from where to where is not said", "Give --from NODE and --to NODE.");
  const config = nodeOf(topology, from);
  const link = linkBetween(topology, config.name, nodeOf(topology, to).name);
  if (link?.transport !== "file") {
    throw new TomboloError(`${from} and ${to} are joined by no link that travels on files`, {
      code: "MEDIUM_LINK",
      kind: "usage",
      hint: link === undefined ? "Name the two ends of a link." : `Add \`transport: file\` to the link ${linkName(link)}.`,
    });
  }
  const key = await signingKey(ownKeyFile(topology));
  const passphrase = await passphraseOf(context, input);
  const observer = noticesOnly(await context.logger());
  return withNodes(context, [config], async (nodes) => {
    const node = reachedNode(nodes, config.name);
    const judge = await context.parts.judge();
    const made = await exportMedium({
      ...{ node, link, topology, judge, observer, key, passphrase, file },
      again: flag(input, "again"),
      now: systemTimers.now,
    });
    if (context.json)
      context.out.json({
        file,
        from,
        to,
        number: made.number,
        packets: made.packets,
        changes: made.changes,
        encrypted: passphrase !== null,
      });
    else {
      const what = made.isGreeting ? "only where this node is: nothing has been heard of the other yet" : plural(made.changes, "change");
      context.out.line(`${file}: medium ${made.number} from ${from} to ${to}, ${what}`);
    }
    if (passphrase === null) context.out.note("it is signed, and not encrypted: whoever has it can read it");
    return EXIT.done;
  });
};
