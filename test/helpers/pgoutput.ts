import type { Tuple } from "../../replicator/node/postgres/slot/pgoutput.ts";

/* Writes messages of pgoutput, as the server does. */

export const bytes = (...parts: (string | number | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : typeof part === "string" ? Buffer.from(part) : part)),
  );
export const uint16 = (value: number): Buffer => {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
};
export const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};
export const uint64 = (value: bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
};
export const tuple = (values: Tuple): Buffer =>
  bytes(
    uint16(values.length),
    ...values.map((value) => (value === undefined ? "u" : value === null ? "n" : bytes("t", uint32(Buffer.byteLength(value)), value))),
  );
