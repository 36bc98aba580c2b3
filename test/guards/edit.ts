import type { Guard } from "./guards.ts";

/** Throws where what is to be taken out does not stand there exactly once. */
export function without(text: string, edits: readonly Guard["edits"][number][]): string {
  return edits.reduce((edited, { file, from, to }) => {
    const pieces = edited.split(from);
    if (pieces.length !== 2) throw new Error(`${file} holds this ${pieces.length - 1} times, and not once: ${from}`);
    return pieces.join(to);
  }, text);
}
