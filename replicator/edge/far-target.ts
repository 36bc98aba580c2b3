import type { z } from "zod";
import { TomboloError } from "../change/error.ts";
import { type NodeName, type Position, position, type TableName, tableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { Codec } from "../change/packet-compression.ts";
import type { TableShape } from "../change/shape.ts";
import { jsonFrame, ROWS_TYPE, rowFrames } from "../full-sync/copy-frames.ts";
import {
  differenceOf,
  differencesAnswer,
  handedOverAnswer,
  pushBegun,
  stageAnswer,
  stagedAnswer,
  stagedOf,
} from "../full-sync/push-asks.ts";
import type { SyncTarget } from "../full-sync/sync-ends.ts";
import type { LinkEnd } from "../link/link-end.ts";
import { receiptOf } from "../link/receipts.ts";
import { reportJson } from "../link/report.ts";
import type { CopiedTable, CopyChanges, CopyChunk, CopyStage, HandOver, Staged, TableDifference } from "../node/full-copy.ts";
import type { RunEnd, RunProgress } from "../node/full-sync-runs.ts";
import { unlessAway } from "./far-source.ts";
import { hubStatus } from "./hub-answers.ts";
import type { HubClient } from "./hub-client.ts";

export interface FarTargetOptions {
  readonly client: HubClient;
  /** The edge's end of the link. */
  readonly end: LinkEnd;
  readonly edge: NodeName;
  readonly hub: NodeName;
  readonly codec: Codec;
  readonly signal: AbortSignal;
  /** The hub keeps what a comparison afterwards comes to; an older one refuses to be told. */
  readonly keepsDiffering: boolean;
}

/** The hub as the target of a full sync, behind HTTP: it stages what is sent, and hands over itself. What it takes of it, it decides itself. */
export class FarTarget implements SyncTarget {
  readonly name: NodeName;
  readonly copies: SyncTarget["copies"];
  readonly #options: FarTargetOptions;
  #begun: { readonly run: bigint; readonly position: Position } | undefined;
  #progress: RunProgress = { phase: "prepare", rows: 0, bytes: 0, estimatedRows: 0, position: null };

  constructor(options: FarTargetOptions) {
    this.name = options.hub;
    this.#options = options;
    this.copies = {
      runs: {
        begin: async ({ tables, resume }) => {
          const { run, resumed, position: at } = await this.#json(pushBegun, "", { tables, resume, report: await this.#report() });
          this.#begun = { run: BigInt(run), position: position(at) };
          return { id: this.#begun.run, resumed };
        },
        beat: (_, progress) => this.#note(progress).catch(unlessAway),
        end: async (_, state, error) => this.#note(this.#progress, { state, error: error ?? null }).catch(unlessAway),
      },
      stage: async (run, copied) => FarStage.open((path) => `/${run}${path}`, copied, this.#asks()),
      // the hub copies itself before it begins
      backUp: async () => null,
    };
  }

  // the hub tells its clock apart from the edge's by itself
  installation: SyncTarget["installation"] = { identity: async () => ({ clockOffsetMs: 0 }) };

  // as the hub said when it began
  now: SyncTarget["now"] = async () => {
    if (this.#begun === undefined) throw new Error("the full sync has not begun");
    return this.#begun.position;
  };

  // the hub does so with the hand-over
  rejoin: SyncTarget["rejoin"] = { resume: async () => undefined };

  target: SyncTarget["target"] = {
    peer: async () => {
      const { client, edge, signal } = this.#options;
      return (await hubStatus(client, edge, signal)).report.state;
    },
  };

  #asks(): Asks {
    const { codec } = this.#options;
    return {
      codec,
      json: (schema, path, body) => this.#json(schema, path, body),
      rows: (schema, path, frames) => this.#ask(schema, path, ROWS_TYPE, frames),
      report: () => this.#report(),
    };
  }

  async #report(): Promise<object> {
    return reportJson(await this.#options.end.report());
  }

  async #note(now: RunProgress, end: { readonly state: RunEnd; readonly error: string | null } | null = null): Promise<void> {
    this.#progress = now;
    const { client, edge, keepsDiffering } = this.#options;
    const { estimatedRows, position: _, differing = null, ...progress } = now;
    const told = differing !== null && keepsDiffering ? { differing } : {};
    const answer = await client.send({
      method: "PUT",
      path: `/v1/nodes/${encodeURIComponent(edge)}/full-sync/${this.#begun?.run}`,
      type: "application/json",
      // positions are the edge's own
      body: JSON.stringify({ ...progress, ...told, estimated_rows: estimatedRows, position: null, end }),
    });
    await answer.body.dump();
  }

  #json<T extends z.ZodType>(schema: T, path: string, body: object): Promise<z.output<T>> {
    return this.#ask(schema, path, "application/json", JSON.stringify(body));
  }

  async #ask<T extends z.ZodType>(schema: T, path: string, type: string, body: string | AsyncIterable<Uint8Array>): Promise<z.output<T>> {
    const { client, edge, signal } = this.#options;
    return client.json(schema, {
      method: "POST",
      path: `/v1/nodes/${encodeURIComponent(edge)}/full-sync-push${path}`,
      ...{ type, body, signal },
      // the hub takes a chunk in once it is there
      ...(type === ROWS_TYPE && { waitMs: TAKEN_IN_MS }),
    });
  }
}

const TAKEN_IN_MS = 60_000;

interface Asks {
  readonly codec: Codec;
  json<T extends z.ZodType>(schema: T, path: string, body: object): Promise<z.output<T>>;
  rows<T extends z.ZodType>(schema: T, path: string, frames: AsyncIterable<Uint8Array>): Promise<z.output<T>>;
  report(): Promise<object>;
}

/** What the hub has staged. */
class FarStage implements CopyStage {
  readonly #path: (path: string) => string;
  readonly #shapes: readonly TableShape[];
  readonly #asks: Asks;
  readonly #progress: Map<TableName, Staged>;
  #position: Position | null;

  private constructor(options: {
    readonly path: (path: string) => string;
    readonly shapes: readonly TableShape[];
    readonly asks: Asks;
    readonly there: z.output<typeof stageAnswer>;
  }) {
    const { position: at, tables } = options.there;
    this.#path = options.path;
    this.#shapes = options.shapes;
    this.#asks = options.asks;
    this.#position = at === null ? null : position(at);
    this.#progress = new Map(tables.map((one) => [tableName(one.table), stagedOf(one)]));
  }

  static async open(path: (path: string) => string, copied: readonly CopiedTable[], asks: Asks): Promise<FarStage> {
    const shapes = copied.map(({ shape }) => shape);
    return new FarStage({ path, shapes, asks, there: await asks.json(stageAnswer, path("/stage"), { shapes }) });
  }

  get position(): Position | null {
    return this.#position;
  }

  get progress(): ReadonlyMap<TableName, Staged> {
    return this.#progress;
  }

  async add(name: TableName, { rows, upTo }: CopyChunk): Promise<Staged> {
    const { codec } = this.#asks;
    const head = { shapes: this.#shapes, table: name, after: this.#progress.get(name)?.upTo ?? null, up_to: upTo };
    const frames = (async function* () {
      yield jsonFrame(head);
      yield* rowFrames(rows, codec);
    })();
    const now = stagedOf(await this.#asks.rows(stagedAnswer, this.#path("/rows"), frames));
    this.#progress.set(name, now);
    return now;
  }

  async renew(at: Position, changes: readonly CopyChanges[], anew: readonly TableName[] = []): Promise<void> {
    const { codec } = this.#asks;
    const head = { shapes: this.#shapes, position: at.toString(), changed: changes.map(({ table: name }) => name), anew };
    const frames = (async function* () {
      yield jsonFrame(head);
      for (const one of changes) {
        yield* rowFrames(one.keys(), codec);
        yield* rowFrames(one.rows(), codec);
      }
    })();
    const there = await this.#asks.rows(stageAnswer, this.#path("/changes"), frames);
    for (const one of there.tables) this.#progress.set(tableName(one.table), stagedOf(one));
    this.#position = at;
  }

  async compare(handOver: HandOver): Promise<readonly TableDifference[]> {
    const { differences } = await this.#asks.json(differencesAnswer, this.#path("/hand-over"), await this.#told(handOver, null));
    return differences.map(differenceOf);
  }

  async handOver(handOver: HandOver): Promise<Receipt> {
    const told = await this.#told(handOver, handOver.header.number);
    return receiptOf((await this.#asks.json(handedOverAnswer, this.#path("/hand-over"), told)).receipt);
  }

  // the hub keeps or drops it by how the run ends
  async close(): Promise<void> {}

  async #told({ header: { epoch, upTo, seen } }: HandOver, number: bigint | null): Promise<object> {
    return {
      ...{ shapes: this.#shapes, report: await this.#asks.report(), epoch },
      position: upTo.toString(),
      seen: Object.entries(seen).map(([channel, at]) => [channel, at.toString()]),
      number: number?.toString() ?? null,
    };
  }
}

/** A chunk of the edge's that took too long to send: see `FarSnapshot`. */
export const tooLong = (): TomboloError =>
  new TomboloError("the edge goes on at a later tick", {
    code: "FULL_SYNC_CUT",
    kind: "retry",
    hint: "Nothing; it is asked again at once.",
  });
