import { createHash, randomUUID } from "node:crypto";
import { type NodeName, nodeName } from "../../change/names.ts";
import { copyStream } from "../../full-sync/copy-stream.ts";
import type { CopiedTable } from "../../node/full-copy.ts";
import { isGone } from "../../node/full-sync-runs.ts";
import type { Node } from "../../node/node.ts";
import type { Topology } from "../../topology/topology.ts";
import type { Image, ImageSource, ImageStore, LogHold } from "./image-store.ts";

export interface ImageOf {
  readonly node: Node;
  readonly topology: Topology;
  /** With the filters of the edge, and their parameters. */
  readonly copied: readonly CopiedTable[];
}

/** Rows of a chunk of an image. */
const CHUNK_ROWS = 10_000;
/** For so long a count is good enough. */
const COUNTED_MS = 60_000;
const MOST_KEYS = 10_000;

/**
 * Rows that several edges want: read once, by one of them, for all. An edge goes on from the image's tick by what the log holds since. That is whole as long as
 * it reaches back to there, and all that came from neighbours has been logged: which is so while there are at least two of them.
 */
export class ImageDesk {
  readonly #store: ImageStore;
  readonly #now: () => number;
  /** Who has asked for what, and whether it is large. */
  readonly #asked = new Map<string, Asked>();

  constructor(store: ImageStore, options: { readonly now: () => number }) {
    this.#store = store;
    this.#now = options.now;
  }

  /** Whether there are so many rows that an edge without any is better off with a full sync, in chunks or by an image, than with a packet. */
  async isLarge(of: ImageOf): Promise<boolean> {
    return this.#isLarge(this.#wanted(await keyOf(of)), of);
  }

  /** The image for an edge; `make` where others want the same and there is none yet, which takes a while; null where it is better off with chunks. */
  async offer(edge: NodeName, of: ImageOf): Promise<Image | { readonly make: () => Promise<Image | null> } | null> {
    const key = await keyOf(of);
    const asked = this.#wanted(key);
    asked.edges.add(edge);
    const there = this.#store.find(key);
    if (there !== undefined && (await isUsable(there, of.node))) return there;
    const [first, second] = asked.edges;
    if (first === undefined || second === undefined || !(await this.#isLarge(asked, of))) return null;
    return { make: () => this.#store.make(key, () => sourceOf(of, [first, second])) };
  }

  /** Whether it holds just these rows. */
  async isOf(image: Image, of: ImageOf): Promise<boolean> {
    return image.key === (await keyOf(of));
  }

  #wanted(key: string): Asked {
    const asked = this.#asked.get(key) ?? { edges: new Set(), large: undefined };
    this.#asked.delete(key);
    this.#asked.set(key, asked);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= MOST_KEYS) break;
      this.#asked.delete(oldest);
    }
    return asked;
  }

  /** Those who come together share what was counted. */
  #isLarge(asked: Asked, { node, copied }: ImageOf): Promise<boolean> {
    const now = this.#now();
    if (asked.large === undefined || now - asked.large.at > COUNTED_MS) {
      const counted = countedAtLeast(node, copied, this.#store.limits.leastRows);
      counted.catch(() => {
        asked.large = undefined;
      });
      asked.large = { at: now, counted };
    }
    return asked.large.counted;
  }
}

interface Asked {
  readonly edges: Set<NodeName>;
  large: { readonly at: number; readonly counted: Promise<boolean> } | undefined;
}

async function countedAtLeast(node: Node, copied: readonly CopiedTable[], least: number): Promise<boolean> {
  const snapshot = await node.copies.open(copied);
  try {
    let rows = 0;
    for (const one of copied) {
      rows += await snapshot.estimate(one);
      if (rows >= least) return true;
    }
    return false;
  } finally {
    await snapshot.close();
  }
}

/** Two edges that may have the same rows, as they are now, have the same key. */
async function keyOf({ node, topology, copied }: ImageOf): Promise<string> {
  const { epoch } = await node.installation.identity();
  const what = [node.name, epoch, node.log.lives, topology.batch.compression, copied.map(({ shape, rows }) => [shape, rows])];
  const text = JSON.stringify(what, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
  return createHash("sha256").update(text).digest("hex");
}

/** The log tells what came since its tick, and nothing that did is missing there. */
async function isUsable(image: Image, node: Node): Promise<boolean> {
  for (const name of image.neighbours) if ((await node.rejoin.marks(name)) === null) return false;
  return image.hold.isKept();
}

async function sourceOf({ node, topology, copied }: ImageOf, neighbours: readonly [NodeName, NodeName]): Promise<ImageSource> {
  const hold = await holdFrom(node, copied);
  const snapshot = await node.copies.open(copied).catch(async (error: unknown) => {
    await hold.release();
    throw error;
  });
  const stream = copyStream(snapshot, {
    ...{ copied, staged: { position: null, places: new Map() }, reader: "", chunkRows: CHUNK_ROWS },
    codec: topology.batch.compression,
    isOver: () => false,
  });
  const bytes = (async function* () {
    try {
      yield* stream;
    } finally {
      await snapshot.close();
    }
  })();
  return { position: snapshot.tick.position, neighbours, hold, bytes };
}

/** Of runs that hold the log for an image. */
const PEER = "image ";
const MOST_RUNS = 200;

/** Keeps the log from now on: a tick that is still there does not tell that all that came since is. */
async function holdFrom(node: Node, copied: readonly CopiedTable[]): Promise<LogHold> {
  const { runs } = node.copies;
  for (const { id, peer, state, holder } of await runs.list(MOST_RUNS))
    if (peer.startsWith(PEER) && HELD.has(state) && isGone(holder, 0)) await runs.cancel(id);
  const tables = copied.map(({ shape }) => shape.table);
  const peer = nodeName(`${PEER}${randomUUID()}`);
  const { id } = await runs.begin({ peer, side: "source", direction: "pull", tables, resume: false });
  const { position } = await node.log.tick();
  await runs.beat(id, { phase: "copy", rows: 0, bytes: 0, estimatedRows: 0, position });
  return {
    isKept: async () => HELD.has((await runs.find(id))?.state ?? ""),
    release: () => runs.cancel(id),
  };
}

const HELD: ReadonlySet<string> = new Set(["running", "interrupted"]);
