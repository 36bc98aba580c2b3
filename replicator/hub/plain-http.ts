import { BlockList, isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { TomboloError } from "../change/error.ts";
import { isLoopback } from "../topology/loopback.ts";

/**
 * Where the service itself does not speak TLS, only this machine and the proxies that are named may come: a token that travels in the
 * clear is a token that is lost.
 */
export function refusePlain(proxies: readonly string[]): (request: FastifyRequest) => Promise<void> {
  const known = new BlockList();
  for (const each of proxies) {
    const [address = "", bits] = each.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) known.addAddress(address, family);
    else known.addSubnet(address, Number(bits), family);
  }
  const isKnown = (address: string): boolean => known.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return async ({ socket }) => {
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "") ?? "";
    if (isLoopback(address) || isKnown(address)) return;
    throw new TomboloError("plain HTTP is not taken from here", {
      code: "HUB_PLAIN_HTTP",
      kind: "usage",
      hint: "Use the https address of the hub.",
    });
  };
}
