import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { NodeName } from "../../replicator/change/names.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { wantedTables } from "../../replicator/lifecycle/tree.ts";
import { exportMedium } from "../../replicator/medium/export-medium.ts";
import { hearMedium, importMedium } from "../../replicator/medium/import-medium.ts";
import { inOrder } from "../../replicator/medium/import-order.ts";
import { placeOf } from "../../replicator/medium/medium-state.ts";
import { MediumReader } from "../../replicator/medium/read-medium.ts";
import { remember } from "../../replicator/medium/traveller.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { topologyFrom } from "./hub.ts";
import { postgresNode, silent, sqliteNode, type TestNode } from "./nodes.ts";

const SCHEMA = "create table orders (id text primary key not null, note text, qty integer)";
export const keys = { hub: generateKeyPairSync("ed25519"), store: generateKeyPairSync("ed25519") };
const judge = createJudge(createModuleRunner());

/** Both ends of a link that no process reaches at once, and a bag of media between them. */
export class Journey {
  readonly topology: Topology;
  readonly nodes: { readonly hub: TestNode; readonly store: TestNode };
  readonly folder = mkdtempSync(join(tmpdir(), "tombolo-media-"));
  passphrase: string | null = null;
  /** How many media there are: the next is called by it. */
  count = 0;

  private constructor(topology: Topology, nodes: { hub: TestNode; store: TestNode }) {
    this.topology = topology;
    this.nodes = nodes;
  }

  static async open(engines: readonly ["postgres" | "sqlite", "postgres" | "sqlite"], direction = "both"): Promise<Journey> {
    const node = (name: string, engine: string, at: number) =>
      `  - { name: ${name}, ${engine === "postgres" ? `type: postgres, url: postgres://db/n${at}` : `type: sqlite, path: n${at}.db`} }`;
    const topology = await topologyFrom(`version: 1
name: shop
nodes:
${node("hub", engines[0], 0)}
${node("store", engines[1], 1)}
channels: [{ name: sales, tables: [${direction === "down" ? "orders" : "{ name: orders, conflict: child_wins }"}] }]
links: [{ parent: hub, child: store, channels: [{ name: sales, direction: ${direction} }], transport: file }]
`);
    const [hub, store] = await Promise.all(
      engines.map((engine, at) => (engine === "postgres" ? postgresNode : sqliteNode)(["hub", "store"][at] as string, SCHEMA)),
    );
    const nodes = { hub: hub as TestNode, store: store as TestNode };
    for (const [at, each] of [nodes.hub, nodes.store].entries()) {
      const config = topology.nodes[at];
      if (config !== undefined) await each.node.installation.apply(wantedTables(topology, config));
    }
    return new Journey(topology, nodes);
  }

  #options(end: "hub" | "store") {
    const [link] = this.topology.links;
    if (link === undefined) throw new Error("no link");
    return { node: this.nodes[end].node, link, topology: this.topology, judge, observer: silent, now: Date.now };
  }

  async export(from: "hub" | "store", options: { again?: boolean } = {}): Promise<string> {
    const file = join(this.folder, `${this.count++}.medium`);
    const { again = false } = options;
    await exportMedium({ ...this.#options(from), file, key: keys[from].privateKey, passphrase: this.passphrase, again });
    return file;
  }

  /** Takes media in any order; answers what came of each that was taken. */
  async import(at: "hub" | "store", files: readonly string[], key?: KeyObject) {
    const from = at === "hub" ? "store" : "hub";
    const media = await Promise.all(files.map((file) => MediumReader.open(file)));
    try {
      const verified = [];
      for (const medium of media) verified.push({ medium, digest: await medium.verify(key ?? keys[from].publicKey) });
      const { state } = await remember(this.nodes[at].node, from as NodeName);
      const taken = [];
      for (const { medium, digest } of inOrder(verified, state)) {
        const now = (await remember(this.nodes[at].node, from as NodeName)).state;
        const place = placeOf(now, { ...medium.head, digest });
        const given = { ...this.#options(at), medium, digest, passphrase: this.passphrase };
        if (place === "next") taken.push(await importMedium(given));
        else if (place !== "taken") await hearMedium(given);
        if (place !== "next") taken.push(place);
      }
      return taken;
    } finally {
      for (const medium of media) await medium.close();
    }
  }

  /** There and back, until nothing moves. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      await this.import("hub", [await this.export("store")]);
      await this.import("store", [await this.export("hub")]);
    }
  }

  async same(): Promise<string> {
    const [hub, store] = await Promise.all([this.nodes.hub, this.nodes.store].map((each) => each.rows("select * from orders order by id")));
    expect(store).toEqual(hub);
    return JSON.stringify(hub);
  }

  async close(): Promise<void> {
    await this.nodes.hub.close();
    await this.nodes.store.close();
    rmSync(this.folder, { recursive: true });
  }
}
