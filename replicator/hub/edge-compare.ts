import { TomboloError } from "../change/error.ts";
import { type NodeName, position, type TableName, tableName } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import { parseRow } from "../change/value.ts";
import type { Report } from "../link/report.ts";
import type { DigestSnapshot, DigestTable, RangeDigest } from "../node/digest.ts";
import { digestPair } from "../node/digest-pair.ts";
import { keyReader } from "../node/digest-text.ts";
import type { DiscardedVersion } from "../node/repairs.ts";
import { changedKeys } from "../reconcile/changed-keys.ts";
import { type ParentTable, parentTables } from "../reconcile/compared-tables.ts";
import { type CompareAsk, pairsOf } from "../reconcile/far-asks.ts";
import type { Topology } from "../topology/topology.ts";
import type { EdgePlace } from "./edge-desk.ts";

type Asked<A extends CompareAsk["ask"]> = Extract<CompareAsk, { ask: A }>;

const GROUP = { maxRows: 5_000, maxBytes: 4 << 20 };
/** Of parked changes. */
const MOST_PARKED = 100_000;
const REASON = "the two nodes differed, and no news of the row was under way";

/** A table of the hub, as it is compared with an edge's. */
interface Compared extends ParentTable {
  readonly digest: DigestTable;
}

/**
 * The hub's part of a comparison that an edge drives. Which tables, columns and rows are the edge's is looked up here for each question: the edge says only how
 * it has the table itself. Each question is answered at a cut of its own, and nothing is kept in between.
 */
export class EdgeCompare {
  readonly #place: EdgePlace;
  readonly #topology: Topology;
  readonly #report: Report;
  readonly #edge: NodeName;

  /** `report`: where the edge is, which its tables and its choice of rows depend on. */
  constructor(place: EdgePlace, options: { readonly topology: Topology; readonly report: Report }) {
    this.#place = place;
    this.#topology = options.topology;
    this.#report = options.report;
    this.#edge = place.link.child;
  }

  async answer(asked: CompareAsk): Promise<object> {
    switch (asked.ask) {
      case "tables":
        return this.#tables(asked);
      case "bounds":
        return this.#at(asked.shape, async (opened) => ({ keys: await opened.bounds(0, asked.range, asked) }));
      case "digests":
        return this.#at(asked.shape, async (opened) => ({ ranges: (await opened.digests(0, asked.ranges)).map(rangeJson) }));
      case "buckets":
        return this.#at(asked.shape, async (opened) => ({ ranges: (await opened.buckets(0, asked.digits)).map(rangeJson) }));
      case "list":
        return this.#at(asked.shape, async (opened) => ({ rows: pairsOf(await opened.list(0, asked.ranges)) }));
      case "digests_of":
        return this.#at(asked.shape, async (opened) => ({ digests: await opened.digestsOf(0, asked.keys) }));
      case "hold":
        return this.#hold(asked);
      case "changed":
        return this.#changed(asked);
      case "compared": {
        const tables = asked.tables.map((one) => ({ ...one, table: tableName(one.table) }));
        await this.#place.node.compareHolds.compared(this.#edge, asked.run, tables, asked.for_ms);
        return {};
      }
      case "rows":
        return this.#rows(asked);
      case "normalised": {
        const { digest } = await this.#compared(asked.shape);
        return { digests: await this.#place.node.digests.normalised(digest, asked.rows) };
      }
      case "news":
        return this.#news(asked);
      case "parked": {
        const parked = await this.#place.node.parked.list({ peer: this.#edge, table: tableName(asked.table), limit: MOST_PARKED });
        // keys are as the edge gave them
        return { parked: parked.map(({ op, key }) => ({ op, key })) };
      }
      case "last_changed": {
        const { digest } = await this.#compared(asked.shape);
        return { times: await this.#place.node.repairs.lastChanged(digest, asked.keys) };
      }
      case "overrule":
        return this.#overrule(asked);
      case "record": {
        const { digest } = await this.#compared(asked.shape);
        await this.#place.node.repairs.record(await this.#discarded(digest, asked.discarded), this.#by(asked.who));
        return {};
      }
    }
  }

  async #tables({ only }: Asked<"tables">): Promise<object> {
    const { node, end } = this.#place;
    const { tables, skipped } = await this.#parentTables(only?.map(tableName) ?? null, false);
    const { clockMs } = await end.report();
    return {
      clock_ms: clockMs,
      epoch: (await node.installation.identity()).epoch,
      tables: tables.map(({ name, channel, direction, filter, shape, aheadUp }) => ({
        ...{ name, channel, direction, shape },
        filtered: filter !== null,
        ahead: aheadUp?.toString() ?? null,
      })),
      skipped: skipped.map(({ name, error: { code, kind, message, hint = null } }) => ({ name, error: { code, kind, message, hint } })),
    };
  }

  async #hold({ run, tables: names }: Asked<"hold">): Promise<object> {
    const { tables } = await this.#parentTables(names.map(tableName), true);
    const holds = await this.#place.node.compareHolds.begin(
      this.#edge,
      run,
      tables.map(({ name: table, channel }) => ({ table, channel })),
    );
    return {
      tables: [...holds].map(([table, hold]) =>
        typeof hold === "string" ? { table, none: hold } : { table, ...hold, position: hold.position.toString() },
      ),
    };
  }

  /** Of the rows that are the edge's; which others have changed is none of its business. */
  async #changed({ shapes, after }: Asked<"changed">): Promise<object> {
    const compared = await this.#all(shapes.map((shape) => ({ shape })));
    const found = await changedKeys(this.#place.node, {
      reader: this.#edge,
      after: position(after),
      tables: compared.map(({ name, filter, shape, digest }) => ({ name, filter, keyOf: keyReader(shape, digest) })),
    });
    return { tables: found.map((keys) => (typeof keys === "string" ? keys : [...keys])) };
  }

  async #rows({ tables }: Asked<"rows">): Promise<object> {
    const compared = await this.#all(tables);
    const opened = await this.#place.node.digests.open(compared.map(({ digest }) => digest));
    try {
      const rows: (object | null)[][] = [];
      for (const [at, { keys }] of tables.entries()) rows.push((await opened.rows(at, keys)).map((row) => row));
      return {
        position: opened.tick.position.toString(),
        seen: Object.entries(opened.tick.seen[this.#edge] ?? {}).map(([channel, at]) => [channel, at.toString()]),
        tables: rows,
      };
    } finally {
      await opened.close();
    }
  }

  /** Of rows that the edge asks for; which others have changed is none of its business. */
  async #news({ tables, after, up_to: upTo }: Asked<"news">): Promise<object> {
    const compared = await this.#all(tables);
    const wanted = compared.map(({ shape, digest }, at) => ({ keyOf: keyReader(shape, digest), keys: new Set(tables[at]?.keys) }));
    const news: [number, string, string][] = [];
    const request = {
      reader: this.#edge,
      tables: compared.map(({ name }) => name),
      after: position(after),
      upTo: position(upTo),
      ...GROUP,
    };
    for await (const group of this.#place.node.log.read(request)) {
      for (const { table, op, key } of group) {
        const asked = wanted[table];
        if (asked !== undefined && (op === "T" || asked.keys.has(asked.keyOf(key)))) news.push([table, op, op === "T" ? "" : key]);
      }
    }
    return { news };
  }

  async #overrule({ shape, keys, discarded, who }: Asked<"overrule">): Promise<object> {
    const { digest } = await this.#compared(shape);
    const rows = keys.map((key) => ({ table: digest, key }));
    await this.#place.node.repairs.overrule(rows, await this.#discarded(digest, discarded), this.#by(who));
    return {};
  }

  /** The hub's own row is what it is here, whatever the edge says. */
  async #discarded(table: DigestTable, lost: Asked<"record">["discarded"]): Promise<DiscardedVersion[]> {
    const found = await this.#opened(table, (opened) =>
      opened.rows(
        0,
        lost.map(({ key }) => key),
      ),
    );
    return lost.map((one, at) => {
      const row = found[at]?.row;
      return {
        table,
        key: one.key,
        kind: one.kind,
        resolution: one.resolution,
        parentRow: row === undefined ? null : parseRow(row),
        childRow: one.child_row,
        parentChangedAt: one.parent_changed_at,
        childChangedAt: one.child_changed_at,
      };
    });
  }

  async #at<T>(shape: TableShape, work: (opened: DigestSnapshot) => Promise<T>): Promise<T> {
    return this.#opened((await this.#compared(shape)).digest, work);
  }

  async #opened<T>(table: DigestTable, work: (opened: DigestSnapshot) => Promise<T>): Promise<T> {
    const opened = await this.#place.node.digests.open([table]);
    try {
      return await work(opened);
    } finally {
      await opened.close();
    }
  }

  async #compared(shape: TableShape): Promise<Compared> {
    const [one] = await this.#all([{ shape }]);
    return one as Compared;
  }

  /** Throws `TABLE_NOT_IN_LINK`, `SHAPES_DIFFER` (operator), and what keeps a table from being compared. */
  async #all(asked: readonly { readonly shape: TableShape }[]): Promise<readonly Compared[]> {
    const { tables, skipped } = await this.#parentTables(
      asked.map(({ shape }) => shape.table),
      true,
    );
    return asked.map(({ shape }) => {
      const refused = skipped.find(({ name }) => name === shape.table);
      if (refused !== undefined) throw refused.error;
      const table = tables.find(({ name }) => name === shape.table);
      if (table === undefined) throw notCarried(shape.table, this.#edge);
      return { ...table, digest: digestPair(table.shape, shape, { filter: table.filter, near: false }).parent };
    });
  }

  #parentTables(only: readonly TableName[] | null, verified: boolean): ReturnType<typeof parentTables> {
    const { node, link } = this.#place;
    return parentTables(node, { child: this.#edge, below: this.#report.state, link, topology: this.#topology, only, verified });
  }

  #by(who: string): { child: NodeName; who: string; reason: string } {
    return { child: this.#edge, who: `${who} of edge ${this.#edge}`, reason: REASON };
  }
}

const rangeJson = ({ range, rows, digest }: RangeDigest): [string | null, string | null, number, string] => [
  range.from,
  range.to,
  rows,
  digest,
];

const notCarried = (table: TableName, edge: NodeName): TomboloError =>
  new TomboloError(`${table} does not travel between the hub and ${edge}`, {
    code: "TABLE_NOT_IN_LINK",
    kind: "operator",
    hint: "let both sides run with the same topology",
  });
