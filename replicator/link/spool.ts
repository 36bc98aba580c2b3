import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** More than this goes to a temporary file. */
const IN_MEMORY = 4 * 2 ** 20;

/** Bytes that are here as a whole. */
export interface Spooled {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Removes what was kept of them. */
  close(): Promise<void>;
}

/**
 * Reads all of it first, so that nobody holds a transaction open while a slow line delivers: in memory where it is little, else in a temporary file that
 * only this user can read.
 */
export async function spooled(source: AsyncIterable<Uint8Array>, inMemory = IN_MEMORY): Promise<Spooled> {
  const pieces: Uint8Array[] = [];
  let held = 0;
  let file: { readonly path: string; readonly handle: FileHandle } | undefined;
  try {
    for await (const piece of source) {
      if (file === undefined) {
        pieces.push(piece);
        held += piece.length;
        if (held > inMemory) file = await toFile(pieces);
      } else await file.handle.appendFile(piece);
    }
  } catch (error) {
    if (file !== undefined) await discard(file);
    throw error;
  }
  if (file === undefined) return { bytes: each(pieces), close: async () => undefined };
  const written = file;
  return { bytes: createReadStream(written.path), close: () => discard(written) };
}

/** Packets of which each is here as a whole before anything of it is read. */
export async function* eachWhole(packets: AsyncIterable<AsyncIterable<Uint8Array>>): AsyncGenerator<AsyncIterable<Uint8Array>> {
  for await (const bytes of packets) {
    const spool = await spooled(bytes);
    try {
      yield spool.bytes;
    } finally {
      await spool.close();
    }
  }
}

async function toFile(pieces: Uint8Array[]): Promise<{ path: string; handle: FileHandle }> {
  const path = join(tmpdir(), `tombolo-${randomUUID()}.packet`);
  const handle = await open(path, "wx", 0o600);
  for (const piece of pieces.splice(0)) await handle.appendFile(piece);
  return { path, handle };
}

async function discard({ path, handle }: { readonly path: string; readonly handle: FileHandle }): Promise<void> {
  await handle.close();
  await rm(path, { force: true });
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
