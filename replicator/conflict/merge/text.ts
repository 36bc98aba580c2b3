import { align } from "./align.ts";
import { hasExcess, lacks } from "./conserve.ts";
import { levelLineEnds } from "./line-ends.ts";
import { type ColumnEdits, type Merged, overlap } from "./merged.ts";
import { countTokens, type Joined, type Tokens } from "./sequence.ts";
import { mergeSequences, type Region } from "./three-way.ts";
import { isTelling, lines, sentences, words } from "./tokens.ts";

/** What is longer is a document that wants a tool of its own; and the parent's transaction waits for the merge. */
export const MAX_TEXT = 1_000_000;
const MAX_LINES = 20_000;

interface Texts {
  readonly base: string;
  readonly parent: string;
  readonly child: string;
}

/** Lines first, then inside lines that both sides changed sentences, then words. A single word that moves is an edit. */
const LEVELS = [
  { split: lines, moves: true },
  { split: sentences, moves: true },
  { split: words, moves: false },
] as const;

/**
 * Merges two edited texts: both sides' insertions, deletions and moves survive. What both sides changed in different ways, or one side
 * deleted and the other changed, is an overlap; never does the result hold a marker, or a word that was in none of the three.
 */
export function mergeText({ base, parent, child }: ColumnEdits): Merged {
  if (base === undefined) return overlap("the text before both edits is not known");
  // a text that was NULL is one that was empty
  const before = base ?? "";
  if (typeof before !== "string" || typeof parent !== "string" || typeof child !== "string") {
    return overlap(parent === null || child === null ? "one side set to NULL what the other changed" : "only texts are merged as text");
  }
  if (before !== "" && (parent === "" || child === "")) return overlap("one side emptied what the other changed");
  const texts = { base: before, parent, child };
  if (Object.values(texts).some(isLong)) return overlap("the text is too long to be merged");
  const { texts: level, restore } = levelLineEnds(texts);
  const merged = mergeLevel(0, level);
  if ("overlap" in merged) return merged;
  return provenText(merged.tokens, level, restore);
}

const isLong = (text: string): boolean => text.length > MAX_TEXT || lines(text).length > MAX_LINES;

function mergeLevel(level: number, texts: Texts): Joined {
  const grain = LEVELS[level];
  if (grain === undefined) return overlap("both sides changed the same words in different ways");
  const { split, moves } = grain;
  return mergeSequences({
    base: split(texts.base),
    parent: split(texts.parent),
    child: split(texts.child),
    align: (base, side) => align(base, side, { moves }),
    resolve: (region) => {
      const resolved = resolve(level, region);
      return level === 0 && "overlap" in resolved ? overlap(`${resolved.overlap} (line ${region.start + 1})`) : resolved;
    },
    // words are not edited: they are others
    likeness: split === words ? () => 0 : likeness,
    // a word put before a line that the other side took out would otherwise end up at another line
    holdsNeighbours: (stretch) => level > 0 && stretch.some((token) => token.includes("\n")),
  });
}

function resolve(level: number, region: Region): Joined {
  const texts = { base: region.base.join(""), parent: region.parent.join(""), child: region.child.join("") };
  if (texts.parent === "" || texts.child === "") return overlap("one side deleted what the other changed");
  return mergeLevel(level + 1, texts);
}

/** The share of words that are the same; at least half of them, or it is another sentence. */
function likeness(before: string, now: string): number {
  const [old, young] = [told(before), told(now)];
  const known = new Set(old);
  const share = young.filter((word) => known.has(word)).length / Math.max(old.length, young.length, 1);
  return share < 0.5 ? 0 : Math.min(share, 1);
}

/** The text of the tokens, unless two of them would run into one word, or words are missing or too many. */
function provenText(tokens: Tokens, texts: Texts, restore: (merged: string) => string): Merged {
  if (runTogether(tokens)) return overlap("both sides' words would run together");
  const merged = tokens.join("");
  const [base, parent, child, result] = withoutCommonLines([texts.base, texts.parent, texts.child, merged]);
  const merge = { base: told(base), parent: told(parent), child: told(child), merged: told(result) };
  return lacks(merge) || hasExcess(merge) ? overlap("both sides moved or changed the same words") : { value: restore(merged) };
}

/** True where the words of the text are not those of its tokens. Over the end of a line no word goes on. */
function runTogether(tokens: Tokens): boolean {
  let start = 0;
  for (const [at, token] of tokens.entries()) {
    if (at < tokens.length - 1 && !token.endsWith("\n")) continue;
    const run = tokens.slice(start, at + 1);
    if (run.length > 1 && words(run.join("")).length !== run.reduce((sum, part) => sum + words(part).length, 0)) return true;
    start = at + 1;
  }
  return false;
}

const told = (text = ""): Tokens => words(text).filter(isTelling);

/** What is as often in all texts adds nothing to the proof, and is most of a long text. */
function withoutCommonLines(all: readonly string[]): string[] {
  const split = all.map(lines);
  const counts = split.map(countTokens);
  const isCommon = (line: string): boolean => counts.every((count) => count.get(line) === counts[0]?.get(line));
  return split.map((some) => some.filter((line) => !isCommon(line)).join(""));
}
