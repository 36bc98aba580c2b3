import { readFile } from "node:fs/promises";
import type { ServerOptions as TlsOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext, type Server as TlsServer } from "node:tls";
import { TomboloError } from "../change/error.ts";
import type { Topology } from "../topology/topology.ts";
import { buildServer, type HubServerOptions } from "./server.ts";

type HubAddress = NonNullable<Topology["hub"]>;

/** Edges that come back at once are a thousand connections in a moment; Node lets 511 wait. */
const BACKLOG = 4_096;

/** A service that runs. */
export interface HubService {
  readonly url: string;
  /** Reads certificates and keys anew: connections from then on get the new ones. Throws `HUB_TLS` (usage), with the old ones still in use. */
  refresh(): Promise<void>;
  /** Finishes the requests in hand, refuses others, then ends. */
  close(): Promise<void>;
}

/** Starts the service where the topology wants it. Throws `HTTP_LISTEN` or `HUB_TLS` (usage). */
export async function startHub(
  address: HubAddress,
  options: Omit<HubServerOptions, "tls" | "trustProxy" | "maxRequests">,
): Promise<HubService> {
  const { tls, trustProxy, maxRequests } = address;
  const hub = await buildServer({ ...options, trustProxy, maxRequests, tls: tls === null ? null : await tlsOptions(tls) });
  try {
    await hub.server.listen({ host: address.host, port: address.port, backlog: BACKLOG });
  } catch (cause) {
    await hub.close();
    throw cannotListen(address, cause as NodeJS.ErrnoException);
  }
  const { port } = hub.server.server.address() as AddressInfo;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return {
    url: `${tls === null ? "http" : "https"}://${host}:${port}`,
    async refresh() {
      if (tls !== null) (hub.server.server as unknown as TlsServer).setSecureContext(await tlsOptions(tls));
    },
    close: () => hub.close(),
  };
}

async function tlsOptions({ cert, key, clientCa }: NonNullable<HubAddress["tls"]>): Promise<TlsOptions> {
  const options: TlsOptions = {
    cert: await pem(cert),
    key: await pem(key),
    minVersion: "TLSv1.2",
    ...(clientCa === null ? {} : { ca: await pem(clientCa), requestCert: true, rejectUnauthorized: true }),
  };
  try {
    createSecureContext(options);
    return options;
  } catch (cause) {
    throw new TomboloError(`${cert} and ${key} do not make a certificate that can be used`, {
      code: "HUB_TLS",
      kind: "usage",
      hint: "Give PEM files: the chain, the key that belongs to it, without a passphrase.",
      cause,
    });
  }
}

async function pem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new TomboloError(`${file} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? "unknown error"}`, {
      code: "HUB_TLS",
      kind: "usage",
      hint: "Correct the path in hub.tls, or the file's permissions.",
      cause,
    });
  }
}

function cannotListen({ host, port }: HubAddress, cause: NodeJS.ErrnoException): TomboloError {
  const reason = cause.code === "EADDRINUSE" ? "another process listens there" : (cause.code ?? "unknown error");
  return new TomboloError(`the hub cannot listen on ${host}:${port}: ${reason}`, {
    code: "HTTP_LISTEN",
    kind: "usage",
    hint: "Set hub.listen in the topology to a free address, or stop the other process.",
    cause,
  });
}
