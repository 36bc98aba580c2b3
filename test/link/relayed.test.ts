import { describe, expect, test, vi } from "vitest";

// The suites of the direct link, with two ends that exchange nothing but bytes and reports: see test/helpers/relayed-link.ts. Files share a
// process, so all is loaded anew for them, and after them.
describe("relayed:", async () => {
  const before = process.env.TEST_LINK ?? "";
  process.env.TEST_LINK = "relay";
  vi.resetModules();
  const { CARRIED } = await import("../helpers/nodes.ts");
  test("the suites below have links whose packets travel as bytes", () => expect(CARRIED).toBe("relay"));
  await import("./filters.test.ts");
  await import("./rescope.test.ts");
  await import("./parked.test.ts");
  process.env.TEST_LINK = before;
  vi.resetModules();
});
