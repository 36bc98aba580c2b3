import { expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { holdMs } from "../../replicator/reconcile/hold-time.ts";
import type { TopologyReconcile } from "../../replicator/topology/topology.ts";

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 0, 5, 12);
const link = { parent: nodeName("hub"), child: nodeName("store") };
const schedule = (options: Partial<TopologyReconcile>): TopologyReconcile => ({
  ...{ name: "often", cron: "0 * * * *", timezone: "UTC", links: "all", repair: "report", scope: "changed" },
  ...options,
});
const held = (reconcile: readonly TopologyReconcile[], asked: { scope: "all" | "changed"; name: string }): number | null => {
  const ms = holdMs({ reconcile }, link, { ...asked, nowMs: NOON });
  return ms === null ? null : ms / HOUR;
};

test("logs are kept until a schedule that wants them has come due twice, and for nobody else", () => {
  expect(held([schedule({})], { scope: "changed", name: "often" })).toBe(3);
  expect(held([schedule({})], { scope: "all", name: "nightly" })).toBe(3);
  expect(held([schedule({ links: [{ parent: link.parent, child: nodeName("other") }] })], { scope: "all", name: "nightly" })).toBeNull();
  expect(held([schedule({ scope: "all" })], { scope: "all", name: "often" })).toBeNull();
  expect(held([], { scope: "all", name: "manual" })).toBeNull();
});

test("by hand two days are given, and never more than eight", () => {
  expect(held([], { scope: "changed", name: "manual" })).toBe(48);
  expect(held([schedule({})], { scope: "changed", name: "manual" })).toBe(48);
  expect(held([schedule({ cron: "0 3 1 * *" })], { scope: "changed", name: "often" })).toBe(8 * 24);
});
