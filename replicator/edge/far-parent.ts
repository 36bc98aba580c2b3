import { z } from "zod";
import type { Change } from "../change/change.ts";
import { type ErrorKind, TomboloError } from "../change/error.ts";
import { channelName, epoch, type NodeName, type Position, position, type TableName, tableName } from "../change/names.ts";
import type { Engine, TableShape } from "../change/shape.ts";
import type { LinkEnd } from "../link/link-end.ts";
import { reportJson } from "../link/report.ts";
import type { CompareHold, NoHold } from "../node/compare-holds.ts";
import type { KeyText } from "../node/digest.ts";
import type { DiscardedVersion } from "../node/repairs.ts";
import type { ChangedKeys } from "../reconcile/changed-keys.ts";
import type { ComparedParent } from "../reconcile/compared-link.ts";
import type { ParentTable, SkippedTable } from "../reconcile/compared-tables.ts";
import { changedAnswer, holdAnswer, newsAnswer, normalisedAnswer, parkedAnswer, tablesAnswer, timesAnswer } from "../reconcile/far-asks.ts";
import { FarDigests } from "./far-digests.ts";
import type { HubClient } from "./hub-client.ts";

export interface FarParentOptions {
  readonly client: HubClient;
  /** The edge's end of the link. */
  readonly end: LinkEnd;
  readonly edge: NodeName;
  readonly hub: NodeName;
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The hub's wish that is taken up; null where there is none. */
  readonly asked: bigint | null;
  /** The hub has entered the run. */
  readonly onBegun: () => void;
  /** Nobody asked for it, and the hub knows what that is. */
  readonly automatic: boolean;
}

/** Some rows, in the place of a condition that the edge is not told: the hub knows it. */
const SOME_ROWS = { text: "true", params: {} };

/** The hub as the parent of a comparison, behind HTTP: each question is a request, answered at a cut of its own. */
export class FarParent implements ComparedParent {
  readonly name: NodeName;
  readonly engine: Engine;
  readonly #options: FarParentOptions;
  /** The edge's own tables. */
  #shapes: ReadonlyMap<TableName, TableShape> = new Map();

  constructor(options: FarParentOptions) {
    this.name = options.hub;
    this.engine = options.engine;
    this.#options = options;
  }

  /** The hub's side of the tables. From here on, `shapes` are those of the edge. */
  async tables(
    only: readonly TableName[] | null,
    shapesOf: (tables: readonly TableName[]) => Promise<readonly TableShape[]>,
  ): Promise<{ readonly tables: readonly ParentTable[]; readonly skipped: readonly SkippedTable[] }> {
    const answer = await this.#ask(tablesAnswer, { ask: "tables", only: only === null ? null : [...only] });
    const tables = answer.tables.map(
      ({ name, channel, direction, filtered, shape, ahead }): ParentTable => ({
        name: tableName(name),
        channel: channelName(channel),
        direction,
        filter: filtered ? SOME_ROWS : null,
        shape,
        aheadUp: ahead === null ? null : position(ahead),
      }),
    );
    const own = await shapesOf(tables.map(({ name }) => name));
    this.#shapes = new Map(own.map((shape) => [shape.table, shape]));
    const skipped = answer.skipped.map(({ name, error: { code, kind, message, hint } }): SkippedTable => {
      const details = { code, kind: kind as ErrorKind, ...(hint !== null && { hint }) };
      return { name: tableName(name), error: new TomboloError(message, details) };
    });
    return { tables, skipped };
  }

  digests: ComparedParent["digests"] = {
    open: async (tables, keys) => {
      const asked = tables.map(({ table }) => this.#shape(table));
      return FarDigests.open((schema, question) => this.#ask(schema, question), { shapes: asked, edge: this.#options.edge, keys });
    },
    normalised: async ({ table }, rows) => {
      if (rows.length === 0) return [];
      const { digests } = await this.#ask(normalisedAnswer, {
        ask: "normalised",
        shape: this.#shape(table),
        rows: rows.map((row) => [...row]),
      });
      return digests;
    },
  };

  log: ComparedParent["log"] = {
    read: ({ tables, after, upTo, wanted }) => this.#news({ tables, after: after.toString(), upTo: upTo.toString(), wanted }),
  };

  parked: ComparedParent["parked"] = {
    list: async ({ table }) => {
      if (table === undefined) return [];
      const { parked } = await this.#ask(parkedAnswer, { ask: "parked", table });
      return parked;
    },
  };

  repairs: ComparedParent["repairs"] = {
    overrule: async (rows, discarded, { who }) => {
      const [first] = rows;
      if (first === undefined) return;
      const keys = rows.map(({ key }) => key);
      const question = { ask: "overrule", shape: this.#shape(first.table.table), keys, discarded: discarded.map(lost), who } as const;
      await this.#ask(z.looseObject({}), question);
    },
    record: async (discarded, { who }) => {
      const [first] = discarded;
      if (first === undefined) return;
      const question = { ask: "record", shape: this.#shape(first.table.table), discarded: discarded.map(lost), who } as const;
      await this.#ask(z.looseObject({}), question);
    },
    lastChanged: async ({ table }, keys) => {
      if (keys.length === 0) return [];
      return (await this.#ask(timesAnswer, { ask: "last_changed", shape: this.#shape(table), keys: [...keys] })).times;
    },
  };

  installation: ComparedParent["installation"] = {
    identity: async () => {
      const asked = performance.now();
      const answer = await this.#ask(tablesAnswer, { ask: "tables", only: [] });
      const delayMs = (performance.now() - asked) / 2;
      return { epoch: epoch(answer.epoch), clockOffsetMs: answer.clock_ms + delayMs - this.#options.now(), version: "" };
    },
  };

  /** Of the comparison, once it has begun. */
  #run: string | undefined;
  /** How long both logs are kept for a next comparison of what has changed, as the hub says with the run; null for not at all. */
  holdMs: number | null = null;

  reconciles: ComparedParent["reconciles"] = {
    begin: async ({ repair, scope = "all" }) => {
      const { client, signal, asked, automatic } = this.#options;
      const answer = z.looseObject({ run: z.string(), hold_ms: z.number().nullable().default(null) });
      // what older hubs do not know is told only where it says something
      const question = { repair, asked: asked?.toString() ?? null, ...(scope !== "all" && { scope }), ...(automatic && { automatic }) };
      const { run, hold_ms } = await client.json(answer, { ...this.#json("POST", "/reconcile-runs", question), signal });
      this.holdMs = hold_ms;
      this.#run = run;
      this.#options.onBegun();
      return BigInt(run);
    },
    finish: async (id, { state, tables: found, error }) => {
      const tables = found.map(({ scope, whole, ...table }) => ({
        ...table,
        ...(scope !== "all" && { scope }),
        ...(whole !== null && { whole }),
      }));
      const answer = await this.#options.client.send(this.#json("PUT", `/reconcile-runs/${id}`, { state, tables, error }));
      await answer.body.dump();
    },
  };

  compareHolds: ComparedParent["compareHolds"] = {
    begin: async (_, run, tables) => {
      const answer = await this.#ask(holdAnswer, { ask: "hold", run, tables: tables.map(({ table }) => table) });
      return new Map(
        answer.tables.map((told): [TableName, CompareHold | NoHold] => {
          if ("none" in told) return [tableName(told.table), told.none as NoHold];
          return [tableName(told.table), { position: position(told.position), left: told.left, as: told.as }];
        }),
      );
    },
    compared: async (_, run, tables, forMs) => {
      await this.#ask(z.looseObject({}), { ask: "compared", run, tables: [...tables], for_ms: Math.round(forMs) });
    },
  };

  /** See `changedKeys`. */
  async changed(tables: readonly { readonly name: TableName }[], after: Position): Promise<readonly ChangedKeys[]> {
    const shapes = tables.map(({ name }) => this.#shape(name));
    const answer = await this.#ask(changedAnswer, { ask: "changed", shapes, after: after.toString() });
    return answer.tables.map((keys) => (typeof keys === "string" ? keys : new Set(keys)));
  }

  async *#news(asked: {
    readonly tables: readonly TableName[];
    readonly after: string;
    readonly upTo: string;
    readonly wanted: ReadonlyMap<TableName, ReadonlySet<KeyText>>;
  }): AsyncGenerator<readonly Pick<Change, "table" | "op" | "key">[]> {
    const tables = asked.tables.map((name) => ({ shape: this.#shape(name), keys: [...(asked.wanted.get(name) ?? [])] }));
    const { news } = await this.#ask(newsAnswer, { ask: "news", tables, after: asked.after, up_to: asked.upTo });
    yield news.map(([table, op, key]) => ({ table, op: op as Change["op"], key }));
  }

  #shape(table: TableName): TableShape {
    const shape = this.#shapes.get(table);
    if (shape === undefined) throw new Error(`${table} is not compared`);
    return shape;
  }

  async #ask<T extends z.ZodType>(schema: T, question: object): Promise<z.output<T>> {
    const { client, end, signal } = this.#options;
    const report = reportJson(await end.report());
    // an older hub passes over it
    const path = this.#run === undefined ? "/compare" : `/compare?run=${this.#run}`;
    return client.json(schema, { ...this.#json("POST", path, { report, question }), signal });
  }

  #json(method: "POST" | "PUT", path: string, body: object) {
    return {
      method,
      path: `/v1/nodes/${encodeURIComponent(this.#options.edge)}${path}`,
      type: "application/json",
      body: JSON.stringify(body),
    };
  }
}

const lost = ({ key, kind, resolution, childRow, parentChangedAt, childChangedAt }: DiscardedVersion): object => ({
  ...{ key, kind, resolution },
  child_row: childRow,
  parent_changed_at: parentChangedAt,
  child_changed_at: childChangedAt,
});
