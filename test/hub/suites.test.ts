import { describe, expect, test, vi } from "vitest";

// The suites of the direct link, with a hub's service and an edge between the two: see test/helpers/http-link.ts. Files share a process, so
// all is loaded anew for them, and after them.
describe("over HTTP:", async () => {
  const before = process.env.TEST_LINK ?? "";
  process.env.TEST_LINK = "http";
  vi.resetModules();
  const { CARRIED } = await import("../helpers/nodes.ts");
  test("the suites below have links that go over HTTP", () => expect(CARRIED).toBe("http"));
  await import("../link/two-way.test.ts");
  await import("../link/filters.test.ts");
  await import("../link/parked.test.ts");
  process.env.TEST_LINK = before;
  vi.resetModules();
});
