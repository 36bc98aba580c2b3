import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { elapsedMs } from "../../change/elapsed.ts";
import type { NodeName, Position } from "../../change/names.ts";
import { processLives } from "../../node/process-lives.ts";
import type { Logger } from "../../observability/log.ts";

/** What images may take of this machine, and when they are worth it. */
export interface ImageLimits {
  readonly mostImages: number;
  /** Of all images together. */
  readonly mostBytes: number;
  readonly maxAgeMs: number;
  /** How long a snapshot may be held to make one. */
  readonly mostMs: number;
  /** Fewer rows are sent in chunks. */
  readonly leastRows: number;
}

export const IMAGE_LIMITS: ImageLimits = {
  mostImages: 16,
  mostBytes: 4 * 2 ** 30,
  maxAgeMs: 15 * 60_000,
  mostMs: 5 * 60_000,
  leastRows: 20_000,
};

/** Rows as `copyStream` makes them for whoever has none, in a file. */
export interface Image {
  readonly id: string;
  /** Of its tables, columns and filters: whoever may have these rows, may have it. */
  readonly key: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  /** The tick that it is of. */
  readonly position: Position;
  /** The neighbours whose changes have been in the log ever since; see `ImageDesk`. */
  readonly neighbours: readonly NodeName[];
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  /** What keeps the log for it, from its tick on. */
  readonly hold: LogHold;
}

export interface LogHold {
  /** It has been kept ever since. */
  isKept(): Promise<boolean>;
  /** It need not be kept any longer. */
  release(): Promise<void>;
}

/** What an image is made of. */
export interface ImageSource extends Pick<Image, "position" | "neighbours" | "hold"> {
  readonly bytes: AsyncIterable<Buffer>;
}

/** For so long, what could not be made is not tried again. */
const FAILED_MS = 60_000;
const PREFIX = "tombolo-images-";

/**
 * Images on this machine's disk, in a folder that only this user can read and that goes with the process. Oldest first, they go where there are too many, or too much of
 * them; a reader that has one open reads on.
 */
export class ImageStore {
  readonly #options: { readonly limits: ImageLimits; readonly now: () => number; readonly log: Logger };
  #folder: Promise<string> | undefined;
  readonly #images = new Map<string, Image>();
  readonly #failed = new Map<string, number>();
  #building: { readonly key: string; readonly done: Promise<Image | null> } | undefined;

  constructor(options: { readonly limits: ImageLimits; readonly now: () => number; readonly log: Logger }) {
    this.#options = options;
  }

  get limits(): ImageLimits {
    return this.#options.limits;
  }

  /** The newest of a key that is not too old. */
  find(key: string): Image | undefined {
    const { now, limits } = this.#options;
    const found = [...this.#images.values()].filter((image) => image.key === key).at(-1);
    return found !== undefined && elapsedMs(found.madeAt, now()) <= limits.maxAgeMs ? found : undefined;
  }

  get(id: string): Image | undefined {
    return this.#images.get(id);
  }

  /**
   * Makes one; who asks for the same meanwhile waits for it. Null where another is being made, where it would be too large or take too long, or where the disk is full: whoever
   * asks is served another way.
   */
  make(key: string, source: () => Promise<ImageSource>): Promise<Image | null> {
    if (this.#building?.key === key) return this.#building.done;
    const { now } = this.#options;
    if (this.#building !== undefined || elapsedMs(this.#failed.get(key) ?? Number.NEGATIVE_INFINITY, now()) < FAILED_MS)
      return Promise.resolve(null);
    const done = this.#make(key, source)
      .catch((err: unknown) => {
        this.#failed.set(key, now());
        this.#options.log.warn({ err }, "no image of the rows could be made: edges are filled in chunks");
        return null;
      })
      .finally(() => {
        this.#building = undefined;
      });
    this.#building = { key, done };
    return done;
  }

  /** Of the bytes from `start` to `end`, both inclusive. */
  async read(image: Image, { start, end }: { readonly start: number; readonly end: number }): Promise<NodeJS.ReadableStream> {
    const stream = createReadStream(await this.#path(image.id), { start, end, highWaterMark: 1 << 18 });
    // what was removed meanwhile is told at once, and not by cutting the answer off
    await new Promise<void>((resolve, reject) => stream.once("open", () => resolve()).once("error", reject));
    return stream;
  }

  async drop(image: Image): Promise<void> {
    this.#images.delete(image.id);
    await this.#release(image);
    await rm(await this.#path(image.id), { force: true });
  }

  async close(): Promise<void> {
    for (const image of this.#images.values()) await this.#release(image);
    this.#images.clear();
    const folder = await this.#folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  async #make(key: string, source: () => Promise<ImageSource>): Promise<Image> {
    const { limits, now } = this.#options;
    await this.#clear(now());
    const id = randomUUID();
    const path = await this.#path(id);
    const { position, neighbours, hold, bytes: pieces } = await source();
    const file = await open(path, "wx", 0o600).catch(async (error: unknown) => {
      await this.#release({ hold });
      throw error;
    });
    const hash = createHash("sha256");
    const until = performance.now() + limits.mostMs;
    let bytes = 0;
    try {
      for await (const piece of pieces) {
        hash.update(piece);
        bytes += piece.length;
        if (bytes > limits.mostBytes) throw new Error(`it would take more than ${limits.mostBytes} bytes`);
        if (performance.now() > until) throw new Error(`it takes more than ${limits.mostMs} ms`);
        await file.writeFile(piece);
      }
      await file.close();
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
      await this.#release({ hold });
      throw error;
    }
    const image: Image = { id, key, bytes, sha256: hash.digest("hex"), position, neighbours, hold, madeAt: now() };
    this.#images.set(id, image);
    await this.#clear(now());
    return image;
  }

  /** What is left of it is let go by whoever makes the next one. */
  async #release({ hold }: Pick<Image, "hold">): Promise<void> {
    await hold.release().catch((err: unknown) => this.#options.log.warn({ err }, "the log is kept for an image that is gone"));
  }

  /** Those that are too old go, those in whose place there is a newer one, and the oldest where they are too many. */
  async #clear(now: number): Promise<void> {
    const { limits } = this.#options;
    const newest = [...this.#images.values()].reverse();
    const keys = new Set<string>();
    let bytes = 0;
    for (const [at, image] of newest.entries()) {
      bytes += image.bytes;
      const isOld = now - image.madeAt > limits.maxAgeMs || keys.has(image.key);
      keys.add(image.key);
      if (isOld || at >= limits.mostImages || bytes > limits.mostBytes) await this.drop(image);
    }
  }

  async #path(id: string): Promise<string> {
    this.#folder ??= newFolder();
    return join(await this.#folder, id);
  }
}

/** What a process that was killed has left goes first. */
async function newFolder(): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !processLives(Number(pid)))
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}
