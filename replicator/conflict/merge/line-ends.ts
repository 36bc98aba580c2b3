type Three<T> = { readonly base: T; readonly parent: T; readonly child: T };

/** How a text ends its lines; undefined for one that has none, null for one that mixes them. */
type LineEnd = "\n" | "\r\n" | undefined | null;

export interface Lined {
  /** With one line end everywhere, the last line included, unless a text mixes them. */
  readonly texts: Three<string>;
  /** Turns the merged text back into what both sides make of line ends. */
  restore(merged: string): string;
}

/**
 * Takes line ends out of the comparison: a tool that writes all of them anew has not changed the lines, and a last line without
 * an end is the same line as with one. Which ends the result gets is merged like a value of its own.
 */
export function levelLineEnds(texts: Three<string>): Lined {
  const ends = mapThree(texts, lineEnd);
  const mixed = Object.values(ends).includes(null);
  const end = mixed ? "\n" : (merge(ends, "\n") ?? "\n");
  const closed = merge(mapThree(texts, isClosed), true) ?? false;
  const level = (text: string): string => (mixed ? text : text.replaceAll("\r\n", "\n"));
  return {
    texts: mapThree(texts, (text) => (isClosed(text) === false ? `${level(text)}\n` : level(text))),
    restore(merged) {
      const open = closed ? merged : merged.replace(/\r?\n$/, "");
      return end === "\n" ? open : open.replaceAll("\n", end);
    },
  };
}

const mapThree = <T, U>({ base, parent, child }: Three<T>, map: (value: T) => U): Three<U> => ({
  base: map(base),
  parent: map(parent),
  child: map(child),
});

function lineEnd(text: string): LineEnd {
  const all = text.split("\n").length - 1;
  if (all === 0) return undefined;
  const long = text.split("\r\n").length - 1;
  return long === all ? "\r\n" : long === 0 ? "\n" : null;
}

/** Whether the last line is ended; undefined where there is no line. */
const isClosed = (text: string): boolean | undefined => (text === "" ? undefined : text.endsWith("\n"));

/** The side that differs from the base wins; two sides that differ where the base has none agree on `otherwise`. */
function merge<T>({ base, parent, child }: Three<T | undefined>, otherwise: T): T | undefined {
  const [ours, theirs] = [parent ?? base, child ?? base];
  if (ours === theirs) return ours;
  if (base === undefined) return ours === undefined || theirs === undefined ? (ours ?? theirs) : otherwise;
  return ours === base ? theirs : ours;
}
