import { z } from "zod";
import { isPassing } from "../change/error.ts";
import { epoch, type NodeName, scopeNumber, type TableName, tableName } from "../change/names.ts";
import { shapeSchema } from "../change/packet-header.ts";
import type { TableShape } from "../change/shape.ts";
import { FarSnapshot } from "../full-sync/far-snapshot.ts";
import type { SyncSource } from "../full-sync/sync-ends.ts";
import type { LinkEnd } from "../link/link-end.ts";
import { reportJson } from "../link/report.ts";
import type { CopySnapshot } from "../node/full-copy.ts";
import type { RunEnd, RunProgress } from "../node/full-sync-runs.ts";
import type { NodeIdentity } from "../node/identity.ts";
import { type FarImage, fetchImage } from "./far-image.ts";
import { hubStatus } from "./hub-answers.ts";
import type { HubClient } from "./hub-client.ts";

const tablesAnswer = z.looseObject({
  epoch: z.string(),
  clock_ms: z.number(),
  shapes: z.array(shapeSchema),
  // an older hub does not say
  large: z.boolean().default(false),
});
const begun = z.looseObject({ run: z.string(), resumed: z.boolean() });
const scopesAnswer = z.looseObject({ scopes: z.array(z.tuple([z.string(), z.string()])) });

export interface FarSourceOptions {
  readonly client: HubClient;
  /** The edge's end of the link. */
  readonly end: LinkEnd;
  readonly edge: NodeName;
  readonly hub: NodeName;
  readonly signal: AbortSignal;
  /** The hub keeps what a comparison afterwards comes to; an older one refuses to be told. */
  readonly keepsDiffering: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Rows of a chunk. */
  readonly chunkRows: number;
  /** Where the hub may have an image for many edges: the edge's file, null where that is not one. */
  readonly images?: { readonly database: string | null };
}

/** Tables of the hub as they would be copied, and whose they are. Throws `FULL_SYNC_TABLES` (usage), as the hub does. */
export async function farTables(
  { client, edge, signal, now }: Pick<FarSourceOptions, "client" | "edge" | "signal" | "now">,
  tables: readonly TableName[] | null,
): Promise<{ readonly shapes: readonly TableShape[] } & Pick<NodeIdentity, "epoch" | "clockOffsetMs">> {
  const query = new URLSearchParams((tables ?? []).map((table): [string, string] => ["table", table]));
  const asked = performance.now();
  const path = `/v1/nodes/${encodeURIComponent(edge)}/full-sync?${query}`;
  const answer = await client.json(tablesAnswer, { method: "GET", path, signal });
  const delayMs = (performance.now() - asked) / 2;
  return { shapes: answer.shapes, epoch: epoch(answer.epoch), clockOffsetMs: answer.clock_ms + delayMs - now() };
}

/** The tables that a full sync would fill, where they hold so many rows that an edge without any does well to ask for one; null otherwise. */
export async function largeTables({
  client,
  edge,
  signal,
}: Pick<FarSourceOptions, "client" | "edge" | "signal">): Promise<readonly TableName[] | null> {
  const path = `/v1/nodes/${encodeURIComponent(edge)}/full-sync?large=asked`;
  const { shapes, large } = await client.json(tablesAnswer, { method: "GET", path, signal });
  return large ? shapes.map(({ table }) => table) : null;
}

/** The hub as the source of a full sync, behind HTTP. Which tables and rows those are, it decides itself. */
export class FarSource implements SyncSource {
  readonly name: NodeName;
  readonly runs: SyncSource["runs"];
  readonly #options: FarSourceOptions;
  #run: bigint | undefined;
  #progress: RunProgress = { phase: "prepare", rows: 0, bytes: 0, estimatedRows: 0, position: null };

  constructor(options: FarSourceOptions) {
    this.name = options.hub;
    this.#options = options;
    this.runs = {
      begin: async ({ tables, resume }) => {
        const answer = await this.#ask(begun, "", { tables, resume, report: await this.#report() });
        this.#run = BigInt(answer.run);
        return { id: this.#run, resumed: answer.resumed };
      },
      beat: (_, progress) => this.#note(progress).catch(unlessAway),
      end: async (_, state, error) => this.#note(this.#progress, { state, error: error ?? null }).catch(unlessAway),
    };
  }

  open: SyncSource["open"] = async (copied, staged) => {
    const { client, edge, signal, chunkRows, images } = this.#options;
    const nothing = staged.position === null && copied.every(({ shape }) => (staged.progress.get(shape.table)?.upTo ?? null) === null);
    const image = images === undefined || !nothing ? null : await fetchImage({ client, path: this.#path, signal, ...images });
    if (image !== null) return ImageSnapshot.open(image, edge);
    const answer = await client.send({
      method: "POST",
      path: `${this.#path}/rows`,
      type: "application/json",
      body: JSON.stringify({
        position: staged.position?.toString() ?? null,
        tables: copied.map(({ shape: { table } }) => {
          const { upTo = null, done = false } = staged.progress.get(table) ?? {};
          return { table, up_to: upTo, done };
        }),
        chunk_rows: chunkRows,
      }),
      signal,
    });
    return FarSnapshot.open(client.bytes(answer, signal), edge);
  };

  identity: SyncSource["identity"] = () => farTables(this.#options, null);

  received: SyncSource["received"] = async () => {
    const { client, edge, signal } = this.#options;
    return new Set((await hubStatus(client, edge, signal)).report.state.channels.keys());
  };

  scopes: SyncSource["scopes"] = async () => {
    const { scopes } = await this.#ask(scopesAnswer, `/${this.#id}/hand-over`, { report: await this.#report(), number: null });
    return new Map(scopes.map(([table, scope]) => [tableName(table), scopeNumber(scope)]));
  };

  announce: SyncSource["announce"] = async (number) => {
    await this.#ask(scopesAnswer, `/${this.#id}/hand-over`, { report: await this.#report(), number: number.toString() });
  };

  handedOver: SyncSource["handedOver"] = async ({ position, starts }) => {
    await this.#send("POST", `/${this.#id}/handed-over`, {
      report: await this.#report(),
      position: position.toString(),
      starts: starts.map(({ channel, tables, at }) => ({ channel, tables, at: at.toString() })),
    });
  };

  get #id(): string {
    if (this.#run === undefined) throw new Error("the full sync has not begun");
    return this.#run.toString();
  }

  get #path(): string {
    return `/v1/nodes/${encodeURIComponent(this.#options.edge)}/full-sync/${this.#id}`;
  }

  async #report(): Promise<object> {
    return reportJson(await this.#options.end.report());
  }

  async #note(now: RunProgress, end: { readonly state: RunEnd; readonly error: string | null } | null = null): Promise<void> {
    this.#progress = now;
    const { estimatedRows, position, differing = null, ...progress } = now;
    const told = differing !== null && this.#options.keepsDiffering ? { differing } : {};
    const body = { ...progress, ...told, estimated_rows: estimatedRows, position: position?.toString() ?? null, end };
    // also once it was cancelled: the hub is told so
    await this.#send("PUT", `/${this.#id}`, body, null);
  }

  async #ask<T extends z.ZodType>(schema: T, path: string, body: object): Promise<z.output<T>> {
    const { client, edge, signal } = this.#options;
    return client.json(schema, {
      method: "POST",
      path: `/v1/nodes/${encodeURIComponent(edge)}/full-sync${path}`,
      type: "application/json",
      body: JSON.stringify(body),
      signal,
    });
  }

  async #send(method: "POST" | "PUT", path: string, body: object, signal: AbortSignal | null = this.#options.signal): Promise<void> {
    const { client, edge } = this.#options;
    const answer = await client.send({
      method,
      path: `/v1/nodes/${encodeURIComponent(edge)}/full-sync${path}`,
      type: "application/json",
      body: JSON.stringify(body),
      ...(signal !== null && { signal }),
    });
    await answer.body.dump();
  }
}

/** Read like what the hub would send; gone once it was. */
class ImageSnapshot implements CopySnapshot {
  readonly #snapshot: CopySnapshot;
  readonly #image: FarImage;

  private constructor(snapshot: CopySnapshot, image: FarImage) {
    this.#snapshot = snapshot;
    this.#image = image;
  }

  static async open(image: FarImage, target: NodeName): Promise<ImageSnapshot> {
    try {
      return new ImageSnapshot(await FarSnapshot.open(image.bytes, target), image);
    } catch (error) {
      await image.remove();
      throw error;
    }
  }

  get tick(): CopySnapshot["tick"] {
    return this.#snapshot.tick;
  }

  estimate: CopySnapshot["estimate"] = (table) => this.#snapshot.estimate(table);
  chunk: CopySnapshot["chunk"] = (...asked) => this.#snapshot.chunk(...asked);
  changed: CopySnapshot["changed"] = (...asked) => this.#snapshot.changed(...asked);

  async close(): Promise<void> {
    await this.#snapshot.close();
    await this.#image.remove();
  }
}

/** The hub need not hear of every beat: what moves the rows notices by itself that it is away. */
export function unlessAway(error: unknown): void {
  if (isPassing(error)) return;
  throw error;
}
