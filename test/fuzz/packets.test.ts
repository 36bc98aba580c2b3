import { expect, test } from "vitest";
import { TomboloError } from "../../replicator/change/error.ts";
import { decodePacket } from "../../replicator/change/packet-codec.ts";
import { PACKET_LIMITS, type PacketLimits } from "../../replicator/change/packet-limits.ts";
import { headerText, partBytes } from "../../replicator/change/packet-text.ts";
import { type Random, random } from "../helpers/random.ts";
import { FUZZ } from "./counts.ts";
import { bytesOf, corpus, endOf, frameOf, framesOf, type RawFrame } from "./packet-corpus.ts";

const LIMITS: PacketLimits = { ...PACKET_LIMITS, compressed: 2 ** 20, raw: 2 ** 22, part: 2 ** 20, rows: 1_000 };
/** Beyond what was there before; a frame that lies about its size would take gigabytes. */
const MOST_MEMORY = 300 * 2 ** 20;
const CORPUS = 200;

/** What a reader gets: the texts of header and parts; or the code of the error. */
async function read(bytes: Buffer, cut: number): Promise<readonly string[] | string> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, cut);
    yield bytes.subarray(cut);
  }
  try {
    const decoded = await decodePacket(pieces(), LIMITS);
    const texts = [headerText(decoded.header)];
    for await (const part of decoded.parts) texts.push(partBytes(part).toString());
    decoded.digest();
    return texts;
  } catch (error) {
    if (!(error instanceof TomboloError) || error.kind !== "operator") throw error;
    return error.code;
  }
}

/** Bytes that nobody meant to be as they are. `bytes` is copied. */
function damaged(bytes: Buffer, other: Buffer, { int, pick, chance }: Random): Buffer {
  const copy = Buffer.from(bytes);
  switch (int(7)) {
    case 0:
      for (let flips = 1 + int(4); flips > 0; flips--) {
        const at = int(copy.length);
        copy[at] = (copy[at] as number) ^ (1 << int(8));
      }
      return copy;
    case 1:
      return copy.subarray(0, int(copy.length));
    case 2:
      return Buffer.concat([copy.subarray(0, int(copy.length)), other.subarray(int(other.length))]);
    case 3: {
      const [at, length] = [int(copy.length), int(40)];
      return Buffer.concat([
        copy.subarray(0, at),
        ...(chance(0.5) ? [] : [copy.subarray(at), copy.subarray(at)]),
        copy.subarray(at + length),
      ]);
    }
    case 4:
      copy.fill(pick([0, 0xff, 0x7f]), int(copy.length), int(copy.length));
      return copy;
    case 5: {
      const at = int(copy.length - 4);
      copy.writeUInt32BE(pick([0, 1, 0xff_ff_ff_ff, 0x7f_ff_ff_ff, LIMITS.part, LIMITS.part + 1]), at);
      return copy;
    }
    default:
      return Buffer.concat([copy, other.subarray(0, int(30))]);
  }
}

const NASTY = [
  "null",
  "[]",
  "{}",
  '"',
  "-1",
  "1e400",
  "99999999999999999999",
  '"\\ud800"',
  "[".repeat(200),
  '{"__proto__":{"i":"1"}}',
  "true",
  "\t",
  "\n",
  "",
];

/** A text with something of it changed. */
function other(text: Buffer, { int, pick, chance }: Random): Buffer {
  const at = int(text.length + 1);
  if (chance(0.15)) {
    const broken = Buffer.from(text);
    if (broken.length > 0) broken[int(broken.length)] = pick([0xff, 0xc0, 0x00, 0x80]);
    return broken;
  }
  const end = chance(0.5) ? at : Math.min(text.length, at + int(12));
  return Buffer.concat([text.subarray(0, at), Buffer.from(pick(NASTY)), text.subarray(end)]);
}

/** Contents that were changed by someone who knows the format: checksums are right, and half of the time the digest, too. */
function resealed(frames: readonly RawFrame[], random: Random): { bytes: Buffer; texts: readonly string[] } {
  const { int, chance } = random;
  let list = [...frames];
  const at = int(list.length);
  const frame = list[at] as RawFrame;
  switch (int(6)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.splice(int(list.length + 1), 0, frame);
      break;
    case 2:
      list = [list[0] as RawFrame, ...list.slice(1, -1).reverse(), list.at(-1) as RawFrame];
      break;
    default:
      list[at] = { ...frame, text: other(frame.text, random) };
  }
  const [head, ...rest] = list;
  if (chance(0.5) && head !== undefined && rest.length > 0) {
    const parts = rest.slice(0, -1).map(({ text }) => text);
    list[list.length - 1] = { kind: "E", packed: false, text: endOf(head.text, parts) };
  }
  const lie = chance(0.15)
    ? { rawLength: random.pick([0, 1, 2 ** 31, LIMITS.part, frame.text.length + 1]) }
    : chance(0.05)
      ? { codec: 2 + int(200) }
      : {};
  const liar = chance(0.5) ? at : -1;
  const bytes = bytesOf(list.map((one, place) => frameOf(one, place === liar ? lie : {})));
  return { bytes, texts: list.slice(0, -1).map(({ text }) => text.toString()) };
}

test("a damaged packet is refused by name, or is the one that was sent", { timeout: 60_000 + FUZZ.packets * 20 }, async () => {
  console.log(`${FUZZ.packets} packets: TOMBOLO_FUZZ_PACKETS=${FUZZ.packets} TOMBOLO_SEED=${FUZZ.seed}`);
  const chosen = random(FUZZ.seed);
  const packets = await corpus(chosen, CORPUS);
  const whole = new Set(await Promise.all(packets.map(async (bytes) => JSON.stringify(await read(bytes, 0)))));
  const frames = packets.map(framesOf);
  const before = process.memoryUsage().rss;
  let most = 0;
  const outcomes = new Map<string, number>();
  for (let round = 0; round < FUZZ.packets; round++) {
    const which = chosen.int(CORPUS);
    const sent = packets[which] as Buffer;
    const crafted = chosen.chance(0.5) ? resealed(frames[which] as RawFrame[], chosen) : null;
    const bytes = crafted?.bytes ?? damaged(sent, packets[chosen.int(CORPUS)] as Buffer, chosen);
    let found: readonly string[] | string;
    try {
      found = await read(bytes, chosen.int(bytes.length + 1));
    } catch (error) {
      throw new Error(`round ${round} of seed ${FUZZ.seed}: ${bytes.toString("base64")}`, { cause: error });
    }
    const outcome = typeof found === "string" ? found : crafted === null ? "as it was sent" : "another packet, which is right";
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (typeof found === "string") expect(found, `round ${round}`).toMatch(/^PACKET_/);
    else {
      // bytes may be damaged into another packet of the corpus, or into themselves
      const fits = (crafted === null ? whole : new Set([JSON.stringify(crafted.texts)])).has(JSON.stringify(found));
      expect(fits, `round ${round} of seed ${FUZZ.seed}: ${bytes.toString("base64")}`).toBe(true);
    }
    if (round % 1_000 === 0) most = Math.max(most, process.memoryUsage().rss - before);
  }
  console.log(Object.fromEntries([...outcomes].sort((a, b) => b[1] - a[1])));
  // each way of being wrong was tried
  expect(outcomes.size).toBeGreaterThan(8);
  expect(most).toBeLessThan(MOST_MEMORY);
});
