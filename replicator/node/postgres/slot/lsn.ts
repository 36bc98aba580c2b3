/** A place in the write-ahead log, in bytes from its beginning. */
export type Lsn = bigint & { readonly lsn: unique symbol };

export const lsn = (value: bigint): Lsn => value as Lsn;

/** Before every record of the log. */
export const NO_LSN = lsn(0n);

/** From the form `16/B374D848`. */
export function parseLsn(text: string): Lsn {
  const [high = "", low = ""] = text.split("/");
  return lsn((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
}

export const lsnText = (at: Lsn): string => `${(at >> 32n).toString(16).toUpperCase()}/${(at & 0xffffffffn).toString(16).toUpperCase()}`;

export const later = (a: Lsn, b: Lsn): Lsn => (a > b ? a : b);
