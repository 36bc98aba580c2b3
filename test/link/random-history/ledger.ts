import type { TableName } from "./tables.ts";

/** Every value that a history writes is one of a kind: a text with `t17x` in it, or a number of eight digits. */
const TOKEN = /t\d+x|\b9[0-3]\d{6}\b/g;

export const tokensOf = (text: string): Set<string> => new Set(text.match(TOKEN) ?? []);

export type Image = Readonly<Record<string, string | null>>;
/** Rows of a node by `table id`, each with its columns; null for NULL. */
export type Rows = ReadonlyMap<string, Image>;

export const rowKey = (table: TableName, id: number | string): string => `${table} ${id}`;

interface Deletion {
  readonly row: string;
  readonly node: string;
  readonly tokens: ReadonlySet<string>;
}

/**
 * What the applications know about their own writes, kept without a look at the product: which values they wrote, which they removed or
 * wrote over (they had them before them), which rows they deleted, and what they added to the counters.
 */
export class Ledger {
  readonly #written = new Map<string, string>();
  readonly #replaced = new Set<string>();
  readonly #deletions: Deletion[] = [];
  readonly #counters = new Map<string, { n: bigint; top: bigint }>();

  /** One committed transaction of an application: the node's rows before and after it. */
  committed(what: string, node: string, before: Rows, after: Rows): void {
    const had = tokensOf(textOf(before));
    const has = tokensOf(textOf(after));
    for (const token of has) if (!had.has(token)) this.#written.set(token, `${what} at ${node}`);
    for (const token of had) if (!has.has(token)) this.#replaced.add(token);
    for (const [row, image] of before) {
      if (after.has(row)) continue;
      // what moved to another key is not gone
      const gone = [...tokensOf(JSON.stringify(image))].filter((token) => !has.has(token));
      this.#deletions.push({ row, node, tokens: new Set(gone) });
    }
    for (const [row, now] of after) if (row.startsWith("tally")) this.#count(row, before.get(row), now);
  }

  #count(row: string, before: Image | undefined, now: Image): void {
    const counter = this.#counters.get(row) ?? { n: 0n, top: 0n };
    const top = BigInt(now.top ?? 0);
    this.#counters.set(row, {
      n: counter.n + BigInt(now.n ?? 0) - BigInt(before?.n ?? 0),
      top: top > counter.top ? top : counter.top,
    });
  }

  /** Values that are nowhere: not in a row, not written over by someone who saw them, not in what the product recorded. */
  lost(found: ReadonlySet<string>): string[] {
    return [...this.#written].filter(([token]) => !this.#replaced.has(token) && !found.has(token)).map((entry) => entry.join(": "));
  }

  /** Deletions of which nothing is left: the row is there with what the one who deleted it saw, and nothing was recorded about it. */
  undone(final: Rows, recorded: ReadonlySet<string>): string[] {
    return this.#deletions
      .filter(({ row, tokens }) => {
        const image = final.get(row);
        if (image === undefined || recorded.has(row)) return false;
        return [...tokensOf(JSON.stringify(image))].some((token) => tokens.has(token));
      })
      .map(({ row, node }) => `${row}, deleted at ${node}`);
  }

  /** What the counters and maxima ought to be. */
  get counters(): ReadonlyMap<string, { readonly n: bigint; readonly top: bigint }> {
    return this.#counters;
  }
}

const textOf = (rows: Rows): string => JSON.stringify([...rows.values()]);
