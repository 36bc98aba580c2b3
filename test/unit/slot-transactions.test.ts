import { describe, expect, test } from "vitest";
import { NODE_LIMITS } from "../../replicator/change/packet-limits.ts";
import { type CapturedRelation, entriesOf, logEntries } from "../../replicator/node/postgres/slot/images.ts";
import { lsn } from "../../replicator/node/postgres/slot/lsn.ts";
import { Marks } from "../../replicator/node/postgres/slot/marks.ts";
import { outlinePgoutput, rowOf, type StreamedRelation, type Tuple } from "../../replicator/node/postgres/slot/pgoutput.ts";
import { type Piece, TransactionAssembler } from "../../replicator/node/postgres/slot/transactions.ts";
import { bytes, tuple, uint32 } from "../helpers/pgoutput.ts";

const ITEM: StreamedRelation = { oid: 1, schema: "shop", name: "item", columns: ["id", "v", "big"] };
const PEER: StreamedRelation = { oid: 2, schema: "tombolo", name: "peer", columns: ["id", "apply_xid", "forwards"] };
const FOREIGN_PEER: StreamedRelation = { ...PEER, oid: 3, schema: "shop" };

/** A stream of transactions; answers the pieces. `from`: where the log is complete. */
function streamed(work: (stream: Stream) => void, options: { from?: bigint; limit?: number } = {}): Piece[] {
  const pieces: Piece[] = [];
  const assembler = new TransactionAssembler({
    from: lsn(options.from ?? 0n),
    limits: { changes: options.limit ?? 1000, bytes: 2 ** 30 },
    onPiece: (piece) => pieces.push(piece),
  });
  for (const relation of [ITEM, PEER, FOREIGN_PEER]) assembler.take({ kind: "relation", ...relation }, 10);
  const take = (op: "I" | "U", values: Tuple, { oid }: StreamedRelation): void =>
    assembler.take(outlinePgoutput(bytes(op, uint32(oid), "N", tuple(values))), 10);
  work({
    begin: (xid, commit = 100n) => assembler.take({ kind: "begin", commit: lsn(commit), committedAt: 5, xid }, 10),
    commit: (end = 200n) => assembler.take({ kind: "commit", end: lsn(end) }, 10),
    insert: (values, relation = ITEM) => take("I", values, relation),
    update: (values, relation = ITEM) => take("U", values, relation),
  });
  return pieces;
}

const idOf = (row: Buffer | null | undefined): string | null | undefined => (row ? rowOf(row).new?.[0] : undefined);

interface Stream {
  begin(xid: number, commit?: bigint): void;
  commit(end?: bigint): void;
  insert(values: Tuple, relation?: StreamedRelation): void;
  update(values: Tuple, relation?: StreamedRelation): void;
}

describe("transactions", () => {
  test("what is applied from a peer has its origin where others read it, and is left out where nobody does", () => {
    const pieces = streamed((stream) => {
      for (const [xid, forwards] of [
        [7, "t"],
        [8, "f"],
      ] as const) {
        stream.begin(xid);
        // of an epoch of transaction numbers above the first
        stream.update(["4", String(2n ** 32n + BigInt(xid)), forwards], PEER);
        stream.insert(["1", "a", null]);
        stream.update(["4", null, forwards], PEER);
        stream.insert(["2", "b", null]);
        stream.commit();
      }
    });
    expect(pieces.map(({ changes }) => changes.map(({ origin, row }) => [idOf(row), origin]))).toEqual([
      [
        ["1", 4],
        ["2", null],
      ],
      [["2", null]],
    ]);
  });

  test("a mark of another transaction, or a table of an application's that is called peer, hides nothing", () => {
    const [piece] = streamed((stream) => {
      stream.begin(7);
      stream.update(["4", "6", "f"], PEER);
      stream.update(["4", "7", "f"], FOREIGN_PEER);
      stream.insert(["1", "a", null]);
      stream.commit();
    });
    expect(piece?.changes.map(({ origin, relation }) => [relation.schema, origin])).toEqual([
      ["shop", null],
      ["shop", null],
    ]);
  });

  test("one whose commit begins before the end of the log is left out, one that begins right there is not", () => {
    const pieces = streamed(
      (stream) => {
        for (const commit of [99n, 100n]) {
          stream.begin(7, commit);
          stream.insert([String(commit), null, null]);
          stream.commit(commit + 50n);
        }
      },
      { from: 100n },
    );
    expect(pieces.map(({ changes, end }) => [idOf(changes[0]?.row), end])).toEqual([["100", 150n]]);
  });

  test("a large one comes in pieces, of which only the last has an end", () => {
    const pieces = streamed(
      (stream) => {
        stream.begin(7);
        for (let id = 0; id < 5; id++) stream.insert([String(id), null, null]);
        stream.commit();
      },
      { limit: 2 },
    );
    expect(pieces.map(({ changes, first, end }) => [changes.length, first, end])).toEqual([
      [2, true, null],
      [2, false, null],
      [1, false, 200n],
    ]);
  });
});

describe("images", () => {
  const captured: CapturedRelation = { id: 3, key: ["id"], whole: false, excluded: ["v"] };
  const commit = { xid: 7, committedAt: 5 };
  const update = (old: Tuple | null, now: Tuple) => entriesOf({ relation: ITEM, op: "U", old, new: now, origin: null }, captured, commit);

  test("a large value that did not change is taken from the old row: it is no change", () => {
    expect(update(["1", "x", "BIG"], ["1", "y", undefined])).toEqual([]);
    expect(update(["1", "x", "BIG"], ["2", "x", undefined])).toMatchObject([
      { op: "D", key: '"id"=>"1"', old: '"id"=>"1","big"=>"BIG"' },
      { op: "I", key: '"id"=>"2"', new: '"id"=>"2","big"=>"BIG"' },
    ]);
  });

  test("without the old row, or without the key, nothing is guessed", () => {
    expect(update(null, ["1", "x", undefined])).toBe("REPLICA_IDENTITY");
    expect(entriesOf({ relation: ITEM, op: "D", old: null, new: null, origin: null }, captured, commit)).toBe("REPLICA_IDENTITY");
    expect(
      entriesOf({ relation: ITEM, op: "I", old: null, new: ["1", null, null], origin: null }, { ...captured, key: ["gone"] }, commit),
    ).toBe("TABLE_ALTERED");
  });

  test("a row that could not travel is not read: the table has a hole", () => {
    const row = Buffer.alloc(NODE_LIMITS.part + 1);
    expect(logEntries({ relation: ITEM, op: "I", row, origin: null }, captured, commit)).toBe("CHANGE_TOO_LARGE");
  });
});

describe("marks", () => {
  test("who comes while a mark is being set shares the next one, never that one", async () => {
    const setting: (() => void)[] = [];
    let last = 0n;
    const marks = new Marks({
      set: async () => {
        const mark = ++last;
        await new Promise<void>((resolve) => setting.push(resolve));
        return mark;
      },
    });
    const done: string[] = [];
    const wait = (name: string): Promise<void> => marks.wait().then(() => void done.push(name));
    const waiting = [wait("first"), wait("second"), wait("third")];
    const settled = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    };
    setting.shift()?.();
    await settled();
    marks.reached(1n);
    await settled();
    expect([done, last]).toEqual([["first"], 2n]);
    setting.shift()?.();
    await settled();
    marks.reached(2n);
    await Promise.all(waiting);
    expect([done, last]).toEqual([["first", "second", "third"], 2n]);
  });

  test("a stream that ends ends the waiting with its reason, also for who has set a mark and does not wait yet", async () => {
    let fail: () => void = () => undefined;
    const marks = new Marks({
      set: async () => {
        fail();
        return 9n;
      },
    });
    fail = () => marks.fail(new Error("cut"));
    await expect(marks.wait()).rejects.toThrow("cut");
    const patient = new Marks({ set: async () => 1n, patienceMs: 5 });
    await expect(patient.wait()).rejects.toMatchObject({ code: "SLOT_BEHIND", kind: "retry" });
  });
});
