import zlib from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { TomboloError } from "../../replicator/change/error.ts";
import { channelName, epoch, nodeName, packetNumber, position, scopeNumber, tableName } from "../../replicator/change/names.ts";
import type { Packet, PacketHeader, Part } from "../../replicator/change/packet.ts";
import { decodePacket, encodePacket } from "../../replicator/change/packet-codec.ts";
import { type Codec, compress, usableCodec } from "../../replicator/change/packet-compression.ts";
import { frameBytes, PREAMBLE } from "../../replicator/change/packet-frame.ts";
import { PACKET_LIMITS } from "../../replicator/change/packet-limits.ts";
import { CompressionSample, meteredPacket } from "../../replicator/change/packet-meter.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import { headerText, partBytes, partSize } from "../../replicator/change/packet-text.ts";

const header = (over: Partial<PacketHeader> = {}): PacketHeader => ({
  protocol: 1,
  source: nodeName("hub"),
  target: nodeName("store-1"),
  epoch: epoch("0b1f6b0e-3c50-4d6d-9f43-0d2a6ad6a2a1"),
  number: packetNumber(7),
  previous: "ab".repeat(32),
  kind: "changes",
  channels: [channelName("sales")],
  after: position(12),
  upTo: position("9223372036854775807"),
  tables: [
    {
      table: tableName("shop.orders"),
      channel: channelName("sales"),
      engine: "postgres",
      columns: [
        { name: "id", type: "bigint", base: "int8", notNull: true },
        { name: "note", type: "text", notNull: false },
      ],
      key: ["id"],
      hash: "h",
    },
  ],
  seen: { sales: position(3) },
  ...over,
});

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
const change = (id: number, note: string): Change => ({
  table: 0,
  op: "U",
  key: `{"id": "${id}"}`,
  old: `{"note": "old"}`,
  new: JSON.stringify({ note }),
  changedAt: 1_700_000_000_000_000 + id,
});
const PARTS: readonly Part[] = [[change(1, "a\tb\nc \0 é 🏝"), change(2, "x")], [change(3, "y".repeat(3000))]];

async function partsIn(source: Packet): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of source.parts) parts.push(part);
  return parts;
}
async function encoded(parts: readonly Part[], codec: Codec = "none", head: PacketHeader = header()): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of encodePacket(packet({ header: head, parts: each(parts) }), codec)) pieces.push(piece);
  return Buffer.concat(pieces);
}
/** Everything that a receiver would look at, or the code of the error. */
async function read(bytes: Uint8Array, limits = PACKET_LIMITS): Promise<{ header: PacketHeader; parts: Part[]; digest: string } | string> {
  try {
    const decoded = await decodePacket(each([bytes]), limits);
    const parts = await partsIn(decoded);
    return { header: decoded.header, parts, digest: decoded.digest() };
  } catch (error) {
    if (!(error instanceof TomboloError) || error.kind !== "operator") throw error;
    return error.code;
  }
}
/** A packet of hand-made frames. */
const frames = (...list: readonly (readonly ["H" | "P" | "E", string | Buffer])[]): Buffer =>
  Buffer.concat([
    PREAMBLE,
    ...list.map(([kind, body]) => {
      const payload = Buffer.from(body as string);
      return frameBytes({ kind, codec: "none", rawLength: payload.length, payload });
    }),
  ]);

const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "\t", "\n", "\0", "\u{feff}", "__proto__"),
);
const cell = fc.oneof(
  fc.constant(null),
  text,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((i) => ({ i: String(i) })),
  fc.double({ noNaN: true }).map((r) => ({ r: String(r) })),
  fc.uint8Array({ maxLength: 9 }).map((b) => ({ b: Buffer.from(b).toString("hex") })),
);
const row = fc.dictionary(text, cell, { maxKeys: 4 }).map((value) => JSON.stringify(value));
const anyChange: fc.Arbitrary<Change> = fc
  .record({ op: fc.constantFrom("I", "U", "D", "R", "T"), key: row, old: row, new: row, changedAt: fc.maxSafeInteger() })
  .map(({ op, key, old, new: now, changedAt }): Change => {
    const by = { table: 0, key, changedAt };
    if (op === "I" || op === "R") return { ...by, op, old: null, new: now };
    if (op === "D") return { ...by, op, old, new: null };
    return op === "U" ? { ...by, op, old, new: now } : { ...by, op: "T", key: "", old: null, new: null };
  });
/** Of each kind; TOMBOLO_FUZZ=100000 takes minutes. */
const FUZZ = Number(process.env.TOMBOLO_FUZZ ?? 2_000);
const anyParts = fc.array(fc.array(anyChange, { minLength: 1, maxLength: 8 }), { maxLength: 4 });

test("what is encoded is decoded: header, parts and digest, with every codec, in pieces of any size", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyParts,
      fc.constantFrom<Codec>("none", "gzip", "zstd"),
      fc.integer({ min: 1, max: 700 }),
      fc.option(fc.array(fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(scopeNumber)), { maxLength: 3 })),
      async (parts, codec, size, scopes) => {
        const head = header(scopes === null ? {} : { kind: "fill", scopes });
        const bytes = await encoded(parts, codec, head);
        const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
        const decoded = await decodePacket(each(pieces));
        expect(decoded.header).toEqual(head);
        expect(await partsIn(decoded)).toEqual(parts);
        const sent = packet({ header: head, parts: each(parts) });
        await partsIn(sent);
        expect(decoded.digest()).toBe(sent.digest());
      },
    ),
    { numRuns: 300 },
  );
});

test("cut at any byte, a packet is refused", async () => {
  for (const codec of ["none", "gzip"] as const) {
    const bytes = await encoded(PARTS, codec);
    for (let end = 0; end < bytes.length; end++) expect(await read(bytes.subarray(0, end)), `cut at ${end}`).toBe("PACKET_TRUNCATED");
    expect(await read(Buffer.concat([bytes, Buffer.of(0)]))).toBe("PACKET_CORRUPT");
  }
});

test("with any bit flipped, a packet is refused", async () => {
  for (const codec of ["none", "gzip"] as const) {
    const bytes = await encoded([[change(1, "x")], [change(2, "z".repeat(1500) + Math.PI)]], codec);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(await read(bytes), `bit ${bit}`).toMatch(/^PACKET_/);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(await read(bytes)).toBeTypeOf("object");
  }
});

test("with bytes changed, left out, doubled or swapped in any number of places, a packet is refused, or is the one that was sent", async () => {
  const sent = await encoded([[change(1, "x"), change(2, "y".repeat(300))], [change(3, "z")]], "gzip");
  const whole = await read(sent);
  const cut = fc.record({
    at: fc.nat(sent.length - 1),
    length: fc.nat(40),
    kind: fc.constantFrom("change", "leave out", "double", "swap"),
    by: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 4 }), async (cuts) => {
      let bytes = Buffer.from(sent);
      for (const { at, length, kind, by } of cuts) {
        const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
        const between = { change: [by], "leave out": [], double: [piece, piece], swap: [piece.toReversed()] }[kind] as Uint8Array[];
        bytes = Buffer.concat([before, ...between, after]);
      }
      const found = await read(bytes);
      if (bytes.equals(sent)) expect(found).toEqual(whole);
      else expect(found).toMatch(/^PACKET_/);
    }),
    { numRuns: FUZZ },
  );
});

test("any bytes at all, and frames with any contents, are refused with a named error", async () => {
  const rubbish = fc.uint8Array({ maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(rubbish, fc.boolean(), async (bytes, begun) => {
      expect(await read(begun ? Buffer.concat([PREAMBLE, bytes]) : bytes)).toMatch(/^PACKET_/);
    }),
    { numRuns: FUZZ },
  );
  const body = fc.oneof(fc.json(), fc.string(), fc.constantFrom("0\tI\t1\t{}\t\t{}\n", "0\tU\t1\t{}\t{}\t{}\n", "0\tT\t1\t\t\t\n"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom("H", "P", "E") as fc.Arbitrary<"H" | "P" | "E">, body), { maxLength: 4 }),
      async (list) => {
        expect(await read(frames(["H", headerText(header())], ...list))).toMatch(/^PACKET_/);
      },
    ),
    { numRuns: FUZZ },
  );
});

test("a packet with more or fewer changes than it says, or other ones, is refused although every checksum is right", async () => {
  const head = ["H", headerText(header())] as const;
  const one = ["P", partBytes([change(1, "x")])] as const;
  const sealed = packet({ header: header(), parts: each([[change(1, "x")]]) });
  await partsIn(sealed);
  const end = (parts: number, changes: number, digest = sealed.digest()) => ["E", JSON.stringify({ parts, changes, digest })] as const;
  expect(await read(frames(head, one, end(1, 1)))).toMatchObject({ digest: sealed.digest() });
  expect(await read(frames(head, one, end(1, 2)))).toBe("PACKET_COUNT");
  expect(await read(frames(head, one, one, end(1, 1)))).toBe("PACKET_COUNT");
  expect(await read(frames(head, one, one, end(2, 2)))).toBe("PACKET_DIGEST");
  expect(await read(frames(head, one, end(1, 1, "0".repeat(64))))).toBe("PACKET_DIGEST");
  expect(await read(frames(["H", headerText(header({ number: packetNumber(8) }))], one, end(1, 1)))).toBe("PACKET_DIGEST");
  expect(await read(frames(one, end(1, 1)))).toBe("PACKET_CORRUPT");
  expect(await read(frames(head, end(0, 0), one))).toBe("PACKET_CORRUPT");
});

test("another protocol, another codec and a header that is not one are refused by name", async () => {
  const bytes = await encoded(PARTS);
  const other = Buffer.from(bytes);
  other[PREAMBLE.length - 1] = 2;
  expect(await read(other)).toBe("PACKET_PROTOCOL");
  const payload = Buffer.from(headerText(header()));
  const brotli = frameBytes({ kind: "H", codec: "none", rawLength: payload.length, payload });
  brotli[1] = 9;
  brotli.writeUInt32BE(zlib.crc32(payload, zlib.crc32(brotli.subarray(0, 10))), 10);
  expect(await read(Buffer.concat([PREAMBLE, brotli]))).toBe("PACKET_CODEC");
  const good = JSON.parse(headerText(header()));
  const wrong = [
    { protocol: 2 },
    { after: 12 },
    { after: "-1" },
    { after: "0x10" },
    { upTo: "9223372036854775808" },
    { upTo: "3" },
    { number: "1e3" },
    { number: null },
    { seen: { sales: 3 } },
    { kind: "other" },
    { scopes: [3] },
    { scopes: null },
    { scopes: ["01"] },
    { tables: [{}] },
    { previous: "x" },
    { extra: 1 },
    { source: "" },
  ];
  for (const over of wrong) {
    const expected = "protocol" in over ? "PACKET_PROTOCOL" : "PACKET_HEADER";
    expect(await read(frames(["H", JSON.stringify({ ...good, ...over })])), JSON.stringify(over)).toBe(expected);
  }
  expect(await read(frames(["H", headerText(header()).replace('"protocol":1', '"protocol":1,"protocol":1')]))).toBe("PACKET_CORRUPT");
});

test("a row that two JSON parsers could read differently is refused", async () => {
  const tries = [
    '{"a":"1","a":"2"}',
    '{"a":"1","\\u0061":"2"}',
    '{"a":{"i":"1","i":"2"}}',
    '{"a":{"i":"1","r":"2"}}',
    '{"a":{"i":"1e400"}}',
    '{"a":{"i":"99999999999999999999"}}',
    '{"a":{"r":"NaN"}}',
    '{"a":{"b":"f"}}',
    '{"a":1}',
    '{"a":[]}',
    '{"a":NaN}',
    '["a"]',
    "null",
    "{}{}",
    "{",
  ];
  for (const bad of tries)
    expect(await read(frames(["H", headerText(header())], ["P", `0\tI\t1\t{"id":"1"}\t\t${bad}\n`])), bad).toBe("PACKET_CORRUPT");
});

test("columns and keys that are called __proto__ arrive as such and change no object", async () => {
  const hostile: Change = {
    table: 0,
    op: "I",
    key: '{"__proto__":"1"}',
    old: null,
    new: '{"__proto__":{"i":"1"},"constructor":"x"}',
    changedAt: 1,
  };
  expect(await read(await encoded([[hostile]]))).toMatchObject({ parts: [[hostile]] });
  expect(({} as { i?: string }).i).toBeUndefined();
});

test("what would not fit is refused before it is made: bytes, expansion, rows, nesting", async () => {
  const bytes = await encoded(PARTS);
  expect(await read(bytes, { ...PACKET_LIMITS, compressed: bytes.length - 1 })).toBe("PACKET_TOO_LARGE");
  expect(await read(bytes, { ...PACKET_LIMITS, compressed: bytes.length, rows: 3 })).toBeTypeOf("object");
  expect(await read(bytes, { ...PACKET_LIMITS, raw: 3000 })).toBe("PACKET_TOO_LARGE");
  expect(await read(bytes, { ...PACKET_LIMITS, rows: 2 })).toBe("PACKET_TOO_LARGE");
  expect(await read(frames(["H", "[".repeat(1_000_000)]))).toBe("PACKET_TOO_LARGE");
  expect(await read(frames(["H", headerText(header())], ["P", `0\tI\t1\t{}\t\t${'{"a":'.repeat(40)}\n`]))).toBe("PACKET_TOO_LARGE");
  const zeros = Buffer.alloc(10 * 2 ** 20);
  const bomb = zlib.gzipSync(zeros);
  for (const rawLength of [zeros.length, 1000, bomb.length * 100]) {
    const frame = frameBytes({ kind: "H", codec: "gzip", rawLength, payload: bomb });
    expect(await read(Buffer.concat([PREAMBLE, frame]))).toMatch(rawLength === zeros.length ? "PACKET_TOO_LARGE" : "PACKET_CORRUPT");
  }
});

test("text that compresses further than a reader believes is sent as it is, and arrives", async () => {
  const parts = [[change(1, "a".repeat(2 ** 20))]];
  expect(await read(await encoded(parts, "gzip"))).toMatchObject({ parts });
  expect((await compress(Buffer.from("a".repeat(1000)), "gzip")).codec).toBe("none");
  expect(usableCodec("zstd")).toBe("zstdCompress" in zlib ? "zstd" : "gzip");
});

test("a row whose text could not be sent unchanged is refused by the sender", () => {
  for (const bad of ['{"a":"\t"}', '{"a":\n"1"}', '{"a":"\ud800"}']) {
    for (const field of ["key", "old", "new"] as const) {
      expect(() => partBytes([{ ...change(1, "x"), [field]: bad }])).toThrow(expect.objectContaining({ code: "PACKET_TEXT" }));
    }
  }
});

test("a change that no receiver takes is refused by the sender, by the name of its table, and one that fits is not", async () => {
  const large = change(2, "x".repeat(200));
  const size = partBytes([large]).length;
  const sent = (most: number): Promise<unknown> => partsIn(packet({ header: header(), parts: each([[change(1, "x")], [large]]) }, most));
  await expect(sent(size - 1)).rejects.toMatchObject({
    ...{ code: "CHANGE_TOO_LARGE", kind: "operator" },
    message: expect.stringContaining("shop.orders"),
  });
  expect(await sent(size)).toHaveLength(2);
});

test("the digest stands for the header and every part, with its place, and is known only at the end", async () => {
  const digest = async (parts: readonly Part[], over: Partial<PacketHeader> = {}): Promise<string> => {
    const sealed = packet({ header: header(over), parts: each(parts) });
    expect(() => sealed.digest()).toThrow(expect.objectContaining({ code: "PACKET_UNREAD" }));
    await partsIn(sealed);
    await expect(partsIn(sealed)).rejects.toMatchObject({ code: "PACKET_CONSUMED" });
    return sealed.digest();
  };
  const [a, b] = [change(1, "a"), change(2, "b")];
  const all = [
    await digest([[a, b]]),
    await digest([[b, a]]),
    await digest([[a], [b]]),
    await digest([[a]]),
    await digest([]),
    await digest([[a, b]], { previous: "cd".repeat(32) }),
    await digest([[a, b]], { seen: {} }),
    await digest([[a, b]], { epoch: epoch("other") }),
    await digest([[a, b]], { scopes: [null] }),
    await digest([[a, b]], { scopes: [scopeNumber(1)] }),
    await digest([[a, b]], { scopes: [scopeNumber(2)] }),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(await digest([[a, b], []])).toBe(all[0]);
});

test("a metered packet is handed on unchanged, one part in flight, and says what it would take", async () => {
  const parts = Array.from({ length: 20 }, (_, n) => Array.from({ length: 200 }, (_, m) => change(n * 1000 + m, `note ${m}`)));
  // the last is too small to compress: it is measured at once, the ones before it are still on their way
  parts.push([change(99, "last")]);
  const plain = packet({ header: header(), parts: each(parts) });
  await partsIn(plain);
  for (const codec of ["none", "gzip"] as const) {
    const metered = meteredPacket(packet({ header: header(), parts: each(parts) }), codec);
    expect(await partsIn(metered.packet)).toEqual(parts);
    expect(metered.packet.digest()).toBe(plain.digest());
    const { raw, compressed } = await metered.sizes();
    const exact = parts.reduce((sum, part) => sum + partBytes(part).length, 0);
    expect(raw).toBe(exact);
    expect(Math.abs(parts.reduce((sum, part) => sum + partSize(part), 0) / exact - 1)).toBeLessThan(0.1);
    if (codec === "none") expect(compressed).toBe(raw);
    else expect(compressed).toBeLessThan(raw / 4);
  }
  const stopped = meteredPacket(packet({ header: header(), parts: each(parts) }), "gzip");
  for await (const _ of stopped.packet.parts) break;
  expect((await stopped.sizes()).raw).toBe(partBytes(parts[0]!).length);
});

test("after many tiny packets, which do not compress, large ones are not taken for incompressible", async () => {
  const row = (id: number): Change => ({
    table: 0,
    op: "I",
    key: `{"id":"${id}"}`,
    old: null,
    new: `{"id":"${id}","note":"a note like any other"}`,
    changedAt: 1,
  });
  const sample = new CompressionSample();
  const sizesOf = async (part: Part) => {
    const metered = meteredPacket(packet({ header: header(), parts: each([part]) }), "gzip", sample);
    await partsIn(metered.packet);
    return metered.sizes();
  };
  for (let id = 0; id < 9; id++) await sizesOf([row(id)]);
  const large = Array.from({ length: 1000 }, (_, id) => row(id));
  for (let turn = 0; turn < 9; turn++) {
    const { raw, compressed } = await sizesOf(large);
    expect(compressed).toBeLessThan(raw / 4);
  }
});

test("a reader that stops early lets go of the bytes", async () => {
  let released = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      for (const byte of await encoded(PARTS)) yield Buffer.of(byte);
    } finally {
      released = true;
    }
  }
  const decoded = await decodePacket(source());
  for await (const _ of decoded.parts) break;
  expect(released).toBe(true);
});
