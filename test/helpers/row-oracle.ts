/** A row as an application sees it: every value is the token of the write that it came from. */
export interface SeenRow {
  readonly a: string | null;
  readonly b: string | null;
}

/** What was recorded of the rows of one key: images as text, and whether one of them says that there is no row. */
export interface Recorded {
  readonly images: string;
  readonly deletion: boolean;
}

interface Written {
  readonly key: string;
  /** Null for a deletion. */
  readonly token: string | null;
  /** What a deletion deleted. */
  readonly deleted?: SeenRow;
  /** Somebody who saw what it left wrote over it. */
  over: boolean;
}

/**
 * Accounts for every write, independent of the product: the applications say what they wrote and what they saw when they did. In the end
 * each write is the final value, or was written over by someone who had seen it, or is in what was recorded with its image. For a deletion
 * that is: what it deleted is gone, or someone who saw no row made one, or a record says that one of the sides had none.
 */
export class RowOracle {
  readonly #writes: Written[] = [];
  readonly #byToken = new Map<string, Written>();
  readonly #deletions = new Map<string, Written[]>();

  /** An insert of both columns, or an update of the first. */
  put(key: string, token: string, seen: SeenRow | null): void {
    if (seen === null) for (const deletion of this.#deletions.get(key) ?? []) deletion.over = true;
    else this.#writtenOver(seen.a);
    const write = { key, token, over: false };
    this.#writes.push(write);
    this.#byToken.set(token, write);
  }

  /** The whole row anew, whether there was one or not. */
  replace(key: string, token: string, seen: SeenRow | null): void {
    this.#writtenOver(seen?.b ?? null);
    this.put(key, token, seen);
  }

  /** Of nothing it is none. */
  delete(key: string, _token: string, seen: SeenRow | null): void {
    if (seen === null) return;
    this.#writtenOver(seen.a);
    this.#writtenOver(seen.b);
    const write = { key, token: null, deleted: seen, over: false };
    this.#writes.push(write);
    this.#deletions.set(key, [...(this.#deletions.get(key) ?? []), write]);
  }

  get size(): number {
    return this.#writes.length;
  }

  /** Writes that are nowhere to be found. */
  lost(final: ReadonlyMap<string, SeenRow>, recorded: ReadonlyMap<string, Recorded>): { key: string; what: string }[] {
    const accounted = ({ key, token, deleted, over }: Written): boolean => {
      if (over) return true;
      const row = final.get(key);
      const record = recorded.get(key);
      if (token !== null) return row?.a === token || row?.b === token || record?.images.includes(`"${token}"`) === true;
      return row === undefined || (row.a !== deleted?.a && row.b !== deleted?.b) || record?.deletion === true;
    };
    return this.#writes
      .filter((write) => !accounted(write))
      .map(({ key, token }) => ({ key, what: token === null ? `the deletion of ${key}` : `the value ${token}` }));
  }

  #writtenOver(token: string | null): void {
    const write = token === null ? undefined : this.#byToken.get(token);
    if (write !== undefined) write.over = true;
  }
}
