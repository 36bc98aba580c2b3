import { describe, expect, test, vi } from "vitest";

// As suites.test.ts.
describe("over HTTP:", async () => {
  const before = process.env.TEST_LINK ?? "";
  process.env.TEST_LINK = "http";
  vi.resetModules();
  const { CARRIED } = await import("../helpers/nodes.ts");
  test("the histories below have links that go over HTTP", () => expect(CARRIED).toBe("http"));
  await import("../link/random-history.test.ts");
  process.env.TEST_LINK = before;
  vi.resetModules();
});
