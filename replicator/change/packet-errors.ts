import { TomboloError } from "./error.ts";

/** What may be wrong with a packet's bytes. Messages never quote them: they may hold anything. */
const wrong = (code: string, message: string, hint: string): TomboloError => new TomboloError(message, { code, kind: "operator", hint });

const AGAIN = "Send the packet again; if that repeats, check the versions on both sides.";
const VERSIONS = "Run the same version of Tombolo on both sides.";

export const corrupt = (why: string) => wrong("PACKET_CORRUPT", `The packet is damaged. ${why}`, AGAIN);

export const truncated = () => wrong("PACKET_TRUNCATED", "The packet ends too early.", AGAIN);

export const tooLarge = (why: string) =>
  wrong("PACKET_TOO_LARGE", `The packet is larger than this node takes. ${why}`, "Lower batch.max_rows or batch.max_bytes at the sender.");

export const badHeader = (why: string) => wrong("PACKET_HEADER", `The header of the packet is not valid. ${why}`, AGAIN);

export const wrongCount = () => wrong("PACKET_COUNT", "The packet does not hold as many changes as it says.", AGAIN);

export const wrongDigest = () => wrong("PACKET_DIGEST", "The contents of the packet do not agree with its digest.", AGAIN);

export const unknownProtocol = (protocol: number) =>
  wrong("PACKET_PROTOCOL", `The packet is written in protocol ${protocol}; this version reads protocol 1.`, VERSIONS);

export const unknownCodec = (codec: number) =>
  wrong("PACKET_CODEC", `The packet is compressed in a way that this version does not know (${codec}).`, VERSIONS);

export const noZstd = () =>
  wrong(
    "PACKET_CODEC",
    "This runtime cannot read packets that are compressed with zstd.",
    "Use Node 22.15 or newer here, or set batch.compression to gzip at the sender.",
  );
