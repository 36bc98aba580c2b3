import fc from "fast-check";
import { expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { lsn, lsnText, parseLsn } from "../../replicator/node/postgres/slot/lsn.ts";
import { outlinePgoutput, parsePgoutput, rowOf } from "../../replicator/node/postgres/slot/pgoutput.ts";
import { FrameReader, serverError } from "../../replicator/node/postgres/slot/replication-frames.ts";
import { parseReplication, statusUpdate } from "../../replicator/node/postgres/slot/replication-protocol.ts";
import { bytes, tuple, uint16, uint32, uint64 } from "../helpers/pgoutput.ts";

// 2026-01-02 03:04:05.678901 UTC, as the server counts from 2000
const COMMITTED = 820_638_245_678_901n;
const COMMITTED_SINCE_1970 = 1_767_323_045_678_901;

test("every message of protocol 1 is read as the server writes it", () => {
  expect(parsePgoutput(bytes("B", uint64(0x1_0000_0010n), uint64(COMMITTED), uint32(742)))).toEqual({
    kind: "begin",
    commit: 0x1_0000_0010n,
    committedAt: COMMITTED_SINCE_1970,
    xid: 742,
  });
  expect(parsePgoutput(bytes("C", 0, uint64(0x10n), uint64(0x38n), uint64(COMMITTED)))).toEqual({ kind: "commit", end: 0x38n });
  const column = (flags: number, name: string): Buffer => bytes(flags, name, 0, uint32(25), uint32(0xffff_ffff));
  expect(parsePgoutput(bytes("R", uint32(16_385), "shop", 0, "ümlaut", 0, "f", uint16(2), column(1, "id"), column(1, "note")))).toEqual({
    kind: "relation",
    oid: 16_385,
    schema: "shop",
    name: "ümlaut",
    columns: ["id", "note"],
  });
  expect(parsePgoutput(bytes("I", uint32(9), "N", tuple(["1", null, ""])))).toEqual({ kind: "insert", relation: 9, new: ["1", null, ""] });
  expect(parsePgoutput(bytes("U", uint32(9), "O", tuple(["1", "é"]), "N", tuple(["1", undefined])))).toEqual({
    kind: "update",
    relation: 9,
    old: ["1", "é"],
    new: ["1", undefined],
  });
  const key = { kind: "update", relation: 9, old: null, new: ["1"] };
  expect(parsePgoutput(bytes("U", uint32(9), "K", tuple(["0"]), "N", tuple(["1"])))).toEqual(key);
  expect(parsePgoutput(bytes("U", uint32(9), "N", tuple(["1"])))).toEqual(key);
  expect(parsePgoutput(bytes("D", uint32(9), "O", tuple(["1", "x"])))).toEqual({ kind: "delete", relation: 9, old: ["1", "x"] });
  expect(parsePgoutput(bytes("D", uint32(9), "K", tuple(["1", null])))).toEqual({ kind: "delete", relation: 9, old: null });
  expect(parsePgoutput(bytes("T", uint32(2), 1, uint32(9), uint32(10)))).toEqual({ kind: "truncate", relations: [9, 10] });
  for (const kind of ["O", "Y", "M"]) expect(parsePgoutput(bytes(kind, "whatever"))).toEqual({ kind: "other" });
});

test("what is sent within a transaction that is streamed before its commit is refused by name, as is anything unknown", () => {
  for (const kind of ["S", "E", "c", "A", "b", "P", "K", "r", "p", "?"]) {
    expect(() => parsePgoutput(bytes(kind, uint32(1), uint32(1)))).toThrow(expect.objectContaining({ code: "SLOT_PROTOCOL" }));
  }
});

test("any tuple is read back as it was written", () => {
  const value = fc.oneof(fc.string({ unit: "binary" }), fc.constant(null), fc.constant(undefined));
  fc.assert(
    fc.property(fc.array(value), fc.array(value), (old, now) => {
      const message = bytes("U", uint32(7), "O", tuple(old), "N", tuple(now));
      expect(parsePgoutput(message)).toEqual({ kind: "update", relation: 7, old, new: now });
    }),
  );
});

test("a hundred thousand broken messages end in an error with a name: no crash, no loop, no room for what cannot be there", () => {
  const good = [
    bytes("B", uint64(1n), uint64(COMMITTED), uint32(1)),
    bytes("C", 0, uint64(1n), uint64(2n), uint64(COMMITTED)),
    bytes("R", uint32(1), "s", 0, "t", 0, "f", uint16(1), 1, "id", 0, uint32(25), uint32(0)),
    bytes("U", uint32(1), "O", tuple(["1", null, undefined]), "N", tuple(["2", "x".repeat(50), null])),
    bytes("T", uint32(1), 0, uint32(9)),
  ];
  // a small generator of its own: as fast as the parser
  let state = 88_172_645;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let refused = 0;
  for (let round = 0; round < 100_000; round++) {
    const message = Buffer.from(good[random(good.length)] as Buffer);
    for (let flips = random(3); flips >= 0; flips--) message[random(message.length)] = random(256);
    const cut = message.subarray(0, random(4) === 0 ? random(message.length + 1) : message.length);
    try {
      parsePgoutput(cut);
    } catch (error) {
      expect(error).toBeInstanceOf(TomboloError);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(20_000);
});

test("data and keep-alives are told apart; anything else is refused", () => {
  const data = parseReplication(bytes("w", uint64(1n), uint64(2n), uint64(3n), "Cx"));
  expect(data).toEqual({ kind: "data", data: Buffer.from("Cx") });
  expect(parseReplication(bytes("k", uint64(0xffn), uint64(3n), 1))).toEqual({ kind: "keepalive", end: 0xffn, replyNow: true });
  expect(parseReplication(bytes("k", uint64(0xffn), uint64(3n), 0))).toEqual({ kind: "keepalive", end: 0xffn, replyNow: false });
  for (const broken of [bytes(), bytes("w"), bytes("k", uint64(1n)), bytes("x", uint64(1n), uint64(1n), 0)]) {
    expect(() => parseReplication(broken)).toThrow(expect.objectContaining({ code: "SLOT_PROTOCOL" }));
  }
});

test("a status says what came and the exact end of what is durable, with the time since 2000 in microseconds", () => {
  const status = statusUpdate({ received: lsn(0x200n), flushed: lsn(0x138n), nowMs: COMMITTED_SINCE_1970 / 1000 });
  expect(status).toEqual(bytes("r", uint64(0x200n), uint64(0x138n), uint64(0x138n), uint64(820_638_245_678_901n), 0));
});

test("a place in the log is written as the server writes it", () => {
  for (const text of ["0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/FFFFFFFF"]) expect(lsnText(parseLsn(text))).toBe(text);
});

test("a row that is left unread knows its relation, and is read later as it would have been", () => {
  const message = bytes("U", uint32(7), "O", tuple(["1", "a"]), "N", tuple(["1", undefined]));
  expect(outlinePgoutput(message)).toEqual({ kind: "row", op: "U", relation: 7, bytes: message });
  expect(rowOf(message)).toEqual({ old: ["1", "a"], new: ["1", undefined] });
  expect(rowOf(bytes("D", uint32(7), "K", tuple(["1"])))).toEqual({ old: null, new: null });
  expect(outlinePgoutput(bytes("C", 0, uint64(1n), uint64(2n), uint64(COMMITTED)))).toEqual({ kind: "commit", end: 2n });
  expect(() => outlinePgoutput(bytes("I", 0, 0))).toThrow(expect.objectContaining({ code: "SLOT_PROTOCOL" }));
});

test("messages come out of a socket as they went in, wherever it cuts them", () => {
  const frame = fc.record({ kind: fc.integer({ min: 1, max: 255 }), body: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (frames, cuts) => {
      const stream = Buffer.concat(frames.map(({ kind, body }) => bytes(kind, uint32(body.length + 4), Buffer.from(body))));
      const found: { kind: number; body: Uint8Array }[] = [];
      const reader = new FrameReader((kind, body) => found.push({ kind, body }));
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const next = at + (cuts[turn % cuts.length] as number);
        // a copy: what has been given out must not lie in what is reused
        const chunk = Buffer.from(stream.subarray(at, next));
        reader.push(chunk);
        at = next;
      }
      expect(found.map(({ kind, body }) => ({ kind, body: Uint8Array.from(body) }))).toEqual(frames);
    }),
  );
});

test("a length that no message has is refused at once; an error of the server keeps its code", () => {
  for (const length of [0, 3, 0x7fff_ffff]) {
    expect(() => new FrameReader(() => undefined).push(bytes("d", uint32(length)))).toThrow(
      expect.objectContaining({ code: "SLOT_PROTOCOL" }),
    );
  }
  expect(serverError(bytes("SERROR", 0, "C55006", 0, "Mslot is active", 0, 0))).toMatchObject({
    code: "55006",
    severity: "ERROR",
    message: "slot is active",
  });
});
