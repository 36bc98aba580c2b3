import { createInterface } from "node:readline/promises";
import { TomboloError } from "../change/error.ts";

/** Asks on the terminal; only `y` and `yes` count. Without a terminal there is nobody to ask: `CONFIRMATION_NEEDED` (usage). */
export async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new TomboloError("there is no terminal to ask for confirmation on", {
      code: "CONFIRMATION_NEEDED",
      kind: "usage",
      hint: "Nothing was changed. Read `tombolo plan`, then give --yes.",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
