import { describe, expect, test } from "vitest";
import { hubOf, wantedTables } from "../../replicator/lifecycle/tree.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { topologyFrom } from "../helpers/hub.ts";
import { postgresNode, sqliteNode } from "../helpers/nodes.ts";

/** A hub with nothing below it but a group of edges. */
function topologyOf(engine: "postgres" | "sqlite", filter: string): Promise<Topology> {
  const node = engine === "postgres" ? "type: postgres, url: postgres://db/shop" : "type: sqlite, path: hub.db";
  return topologyFrom(`version: 1
name: shop
nodes: [{ name: hub, ${node} }]
channels:
  - { name: sales, tables: [{ name: orders, filter: "${filter}" }] }
  - { name: catalogue, tables: [products] }
groups: [{ name: stores, parent: hub, params: [region], channels: [sales, { name: catalogue, direction: down }] }]
`);
}

const SCHEMA =
  "create table orders (id text primary key not null, region text, qty integer); create table products (id text primary key not null)";

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  test("captures what its groups carry, and takes rows in where they come up", async () => {
    const topology = await topologyOf(engine, "region = :region");
    const wanted = wantedTables(topology, hubOf(topology));
    expect(wanted.map(({ table, receives, sharesKeys }) => ({ table, receives, sharesKeys }))).toEqual([
      { table: "orders", receives: true, sharesKeys: true },
      { table: "products", receives: false, sharesKeys: false },
    ]);
    const hub = await (engine === "postgres" ? postgresNode : sqliteNode)("hub", SCHEMA);
    const plan = await hub.node.installation.apply(wanted);
    expect(plan.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect((await hub.node.installation.status()).tables.map(({ table }) => table)).toEqual(["orders", "products"]);
    await hub.close();
  });

  test.each([
    ["area = :region", "FILTER_COLUMN"],
    ["region = (select :region)", "FILTER_NOT_PURE"],
    ["region = :region and random() > 0", "FILTER_NOT_PURE"],
  ])("a group's filter is checked before any edge enrols: %s", async (filter, code) => {
    const topology = await topologyOf(engine, filter);
    const hub = await (engine === "postgres" ? postgresNode : sqliteNode)("hub", SCHEMA);
    const { findings } = await hub.node.installation.plan(wantedTables(topology, hubOf(topology)));
    expect(findings.filter(({ severity }) => severity === "error").map((finding) => finding.code)).toEqual([code]);
    await hub.close();
  });
});
