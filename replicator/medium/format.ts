import { z } from "zod";

/**
 * A medium is a file: the word below, then records, each of one byte of kind, four bytes of length, and its bytes.
 *
 * | record | holds |
 * |---|---|
 * | H | the head, JSON, never encrypted |
 * | R | where the sender is: its report, JSON |
 * | S | tables that are read from a position on, JSON |
 * | P | a packet begins: its number, JSON |
 * | D | a piece of that packet, as HTTP carries it |
 * | E | the end: how many packets there were, JSON |
 * | Z | the Ed25519 signature over the SHA-256 of all before it |
 */
export const WORD = Buffer.from("TOMBOLO-MEDIUM 1\n");
export type RecordKind = "H" | "R" | "S" | "P" | "D" | "E" | "Z";

export const RECORD_HEAD = 5;
/** No record is longer; what a sealed one is longer is in it. */
export const LARGEST_RECORD = 8 * 2 ** 20;
export const SIGNATURE_BYTES = 64;

/** What is signed: no other signature of the same key can be taken for it. */
export const signed = (digest: Uint8Array): Buffer => Buffer.concat([Buffer.from("tombolo medium 1\0"), digest]);

const name = z.string().min(1).max(500);
export const digestText = z.string().regex(/^[0-9a-f]{64}$/);

export const headSchema = z.strictObject({
  source: name,
  target: name,
  /** Of this source to this target: the first is 1. */
  number: z.int().min(1),
  /** SHA-256 of the one before, without its signature; "" before the first. */
  previous: z.union([digestText, z.literal("")]),
  made_at: z.string(),
  encryption: z
    .strictObject({
      kdf: z.literal("scrypt"),
      n: z
        .int()
        .min(2)
        .max(2 ** 20),
      r: z.int().min(1).max(32),
      p: z.int().min(1).max(4),
      salt: z.string().max(100),
    })
    .nullable(),
});
export type Head = z.output<typeof headSchema>;

export const startSchema = z.strictObject({ channel: name, tables: z.array(name), at: z.string().regex(/^\d{1,19}$/) });
export const packetSchema = z.strictObject({ number: z.string().regex(/^\d{1,19}$/) });
export const endSchema = z.strictObject({ packets: z.int().min(0) });
