import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { TomboloError } from "../change/error.ts";
import type { HubClient } from "./hub-client.ts";

const offered = z.looseObject({
  image: z.looseObject({ id: z.string(), bytes: z.number(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullable(),
  wait: z.boolean(),
});
type Offer = NonNullable<z.output<typeof offered>["image"]>;

/** Another process of the hub may not have it, and offers its own. */
const ATTEMPTS = 3;
const HUB_WAITS_MS = 25_000;

export interface FarImageOptions {
  readonly client: HubClient;
  /** Of the run. */
  readonly path: string;
  /** Of the edge's file; null where that is not one. */
  readonly database: string | null;
  readonly signal: AbortSignal;
}

/**
 * All rows of a full sync as its hub has made them for many edges, in a file beside the database; null where the hub has none, or this disk no room for it: then they come in
 * chunks. What a broken line has left is gone on with. Throws what the hub answers.
 */
export async function fetchImage(options: FarImageOptions): Promise<FarImage | null> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const offer = await offerOf(options);
    if (offer === null) {
      await removeOthers(options.database, null).catch(() => undefined);
      return null;
    }
    const file = fileFor(options.database, offer);
    try {
      await removeOthers(options.database, file);
      await fetchTo(file, offer, options);
      if ((await digestOf(file)) === offer.sha256) return new FarImage(file);
      // what arrived is not what was sent: it is not gone on with
      await rm(file, { force: true });
    } catch (error) {
      // what cannot be found again is not left behind
      if (options.database === null) await rm(file, { force: true });
      if (isGone(error)) continue;
      if (error instanceof TomboloError || options.signal.aborted) throw error;
      // this disk is full, or may not be written to
      await rm(file, { force: true }).catch(() => undefined);
      return null;
    }
  }
  return null;
}

export class FarImage {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  get bytes(): AsyncIterable<Uint8Array> {
    return createReadStream(this.#file, { highWaterMark: 1 << 18 });
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

async function offerOf({ client, path, signal }: FarImageOptions): Promise<Offer | null> {
  for (;;) {
    const { image, wait } = await client.json(offered, { method: "POST", path: `${path}/image`, signal, waitMs: HUB_WAITS_MS });
    if (image !== null || !wait) return image;
  }
}

async function fetchTo(file: string, { id, bytes, sha256 }: Offer, { client, path, signal }: FarImageOptions): Promise<void> {
  const there = await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
  if (there === bytes) return;
  const headers = there === 0 || there > bytes ? undefined : { range: `bytes=${there}-`, "if-range": `"${sha256}"` };
  const answer = await client.send({ method: "GET", path: `${path}/image/${id}`, signal, ...(headers && { headers }) });
  const handle = await open(file, answer.statusCode === 206 ? "a" : "w", 0o600);
  try {
    for await (const piece of client.bytes(answer, signal)) await handle.writeFile(piece);
  } finally {
    await handle.close();
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 18 })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Beside a SQLite file; where there is none, it cannot be found again and is made anew. */
const fileFor = (database: string | null, { sha256 }: Offer): string =>
  database === null ? join(tmpdir(), `tombolo-${randomUUID()}.image`) : `${prefixOf(database)}${sha256.slice(0, 16)}`;

const prefixOf = (database: string): string => `${database}-tombolo-image-`;

/** Of an earlier image: nobody goes on with it. */
async function removeOthers(database: string | null, file: string | null): Promise<void> {
  if (database === null) return;
  const folder = dirname(database);
  for (const name of await readdir(folder))
    if (name.startsWith(basename(prefixOf(database))) && name !== (file && basename(file))) await rm(join(folder, name), { force: true });
}

const isGone = (error: unknown): boolean => error instanceof TomboloError && error.code === "IMAGE_GONE";
