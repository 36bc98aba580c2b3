import type { Word } from "./draft.ts";
import type { Fault } from "./source.ts";

/** Names that are there twice. Names that differ only in case count as one: they become file names and metric labels. */
export function duplicates(things: readonly { readonly name: Word | undefined }[], code: string, what: string): Fault[] {
  const first = new Map<string, Word>();
  return things.flatMap(({ name }) => {
    if (name === undefined) return [];
    const earlier = first.get(name.text.toLowerCase());
    if (earlier === undefined) {
      first.set(name.text.toLowerCase(), name);
      return [];
    }
    const message = `There are two ${what}s ${name.shown}; the first is in line ${earlier.place.line}.`;
    return [{ ...name.place, code, message, hint: "Give each a name of its own; upper and lower case alone make no difference." }];
  });
}
