import * as zlib from "node:zlib";
import { called, type Draft } from "./draft.ts";
import { absolute, databaseIdentity, hasPassword } from "./location.ts";
import { isLoopback } from "./loopback.ts";
import { valueAt } from "./plain-value.ts";
import type { Fault, Source } from "./source.ts";
import { durationMs, listenAddress } from "./units.ts";

/** What nodes and services connect to and listen on, and settings that contradict each other. */
export function checkAddresses(draft: Draft, source: Source, folder: string): Fault[] {
  return [...sameDatabases(draft, source, folder), ...passwords(draft), ...sameListen(source), ...plainHttp(source), ...settings(source)];
}

function sameDatabases(draft: Draft, source: Source, folder: string): Fault[] {
  const first = new Map<string, Draft["nodes"][number]>();
  return draft.nodes.flatMap((node) => {
    const identity = node.url ? databaseIdentity(folder, node.url.text) : node.file?.text ? absolute(folder, node.file.text) : null;
    if (identity === null) return [];
    const earlier = first.get(identity);
    if (earlier === undefined) {
      first.set(identity, node);
      return [];
    }
    const message = `The nodes ${called(earlier)} and ${called(node)} are the same database.`;
    return [
      {
        ...source.place((node.url ?? node.file)?.path ?? node.path),
        code: "SAME_DATABASE",
        message,
        hint: "Every node needs a database of its own.",
      },
    ];
  });
}

function passwords(draft: Draft): Fault[] {
  return draft.nodes.flatMap(({ url, password }) => {
    if (!url || !password) return [];
    const embedded = url.text.startsWith("embedded:");
    if (!embedded && !hasPassword(url.text)) return [];
    const message = embedded ? "An embedded Postgres has no password of yours." : "The password is in `url` already.";
    return [{ ...password.place, code: "PASSWORD_TWICE", message, hint: embedded ? "Remove `password`." : "Keep one of the two." }];
  });
}

function sameListen(source: Source): Fault[] {
  const address = (section: string, standard: string) => {
    const map = valueAt(source.value, [section]);
    const text = valueAt(map, ["listen"]) ?? (typeof map === "object" && map !== null ? standard : undefined);
    return typeof text === "string" ? listenAddress(text) : null;
  };
  const hub = address("hub", "127.0.0.1:7443");
  const standard = "127.0.0.1:9187";
  const metrics = valueAt(source.value, ["metrics"]) === undefined ? listenAddress(standard) : address("metrics", standard);
  if (!hub || !metrics || hub.port === 0 || hub.port !== metrics.port) return [];
  const everywhere = (host: string): boolean => host === "0.0.0.0" || host === "::";
  if (hub.host !== metrics.host && !everywhere(hub.host) && !everywhere(metrics.host)) return [];
  const message = "`metrics` and `hub` listen on the same address.";
  return [{ ...source.place(["hub", "listen"]), code: "LISTEN_TWICE", message, hint: "Give one of them another port." }];
}

/** Tokens that travel in the clear are lost. */
function plainHttp(source: Source): Fault[] {
  const listen = valueAt(source.value, ["hub", "listen"]);
  const address = typeof listen === "string" ? listenAddress(listen) : null;
  const isSet = (key: string): boolean => valueAt(source.value, ["hub", key]) !== undefined;
  if (address === null || isLoopback(address.host) || isSet("tls") || isSet("trust_proxy")) return [];
  const message = "The hub would serve plain HTTP on an address that others reach.";
  const hint = "Give `tls`, listen on 127.0.0.1, or name the proxy that adds TLS in `trust_proxy`.";
  return [{ ...source.place(["hub", "listen"]), code: "HUB_PLAIN_HTTP", message, hint }];
}

function settings(source: Source): Fault[] {
  const faults: Fault[] = [];
  const wait = (key: string, otherwise: string): number | null => {
    const text = valueAt(source.value, ["retry", key]) ?? otherwise;
    return typeof text === "string" ? durationMs(text) : null;
  };
  const initial = wait("initial", "1s");
  const max = wait("max", "32s");
  if (initial !== null && max !== null && initial > max) {
    const key = valueAt(source.value, ["retry", "max"]) === undefined ? "initial" : "max";
    faults.push({
      ...source.place(["retry", key]),
      code: "RETRY_ORDER",
      message: "The first wait is longer than the longest.",
      hint: "Make `retry.max` at least `retry.initial`.",
    });
  }
  const compression = valueAt(source.value, ["batch", "compression"]);
  if (compression === "zstd" && !("zstdCompress" in zlib)) {
    const message = `This Node (${process.versions.node}) has no zstd.`;
    faults.push({
      ...source.place(["batch", "compression"]),
      code: "ZSTD_UNAVAILABLE",
      message,
      hint: "Use gzip, or Node 22.15 or newer.",
    });
  }
  return faults;
}
