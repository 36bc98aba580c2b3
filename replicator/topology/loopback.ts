import { isIP } from "node:net";

/** True for names and addresses of this machine alone: what travels there nobody else hears. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127.")) || host.startsWith("::ffff:127.");

/** An address, or a network with the number of its leading bits: `10.0.0.7`, `10.1.0.0/16`, `fd00::/8`. */
export function isNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
