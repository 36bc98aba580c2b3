import { exportFromEdge, importAtEdge } from "../edge/edge-media.ts";
import { signingKey, trustedKey } from "../medium/keys.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT } from "./exit-codes.ts";
import { passphraseOf } from "./medium-options.ts";
import { type ImportReport, importReport, printImported, tellExported } from "./medium-report.ts";
import { optionInvalid } from "./option-values.ts";
import { flag, type RunVerb, text } from "./verb.ts";

/** `export --database`: what the hub does not have yet, to a file. */
export const exportEdge: RunVerb = async (context, input) => {
  const key = text(input, "key");
  if (key === undefined) throw optionInvalid("there is no key to sign the file with", "Give --key FILE; `tombolo keys create` makes one.");
  const file = input.args[0] ?? "";
  const options = { file, key: await signingKey(key), passphrase: await passphraseOf(context, input), again: flag(input, "again") };
  return withEdge(context, await edgeInput(context, input), async (edge, { node: from }) => {
    const made = await exportFromEdge(edge, options);
    const { parent: to } = (await edge.travel()).link;
    tellExported(context, { file, from, to, made, encrypted: options.passphrase !== null });
    return EXIT.done;
  });
};

/** `import --database`: files that the hub exported for this edge. */
export const importEdge: RunVerb = async (context, input) => {
  const trust = text(input, "trust");
  if (trust === undefined) throw optionInvalid("whose files are imported is not said", "Give --trust FILE, the hub's public key.");
  const options = { files: input.args, trust: await trustedKey(trust), passphrase: await passphraseOf(context, input) };
  return withEdge(context, await edgeInput(context, input), async (edge) => {
    const imported: ImportReport[] = [];
    try {
      await importAtEdge(edge, {
        ...options,
        told: (outcome) => {
          imported.push(importReport(outcome));
          if (!context.json) printImported(context.out, outcome);
        },
      });
    } finally {
      if (context.json) context.out.json({ imported });
    }
    return EXIT.done;
  });
};
