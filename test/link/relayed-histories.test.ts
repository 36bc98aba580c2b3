import { describe, expect, test, vi } from "vitest";

// As relayed.test.ts.
describe("relayed:", async () => {
  const before = process.env.TEST_LINK ?? "";
  process.env.TEST_LINK = "relay";
  vi.resetModules();
  const { CARRIED } = await import("../helpers/nodes.ts");
  test("the histories below have links whose packets travel as bytes", () => expect(CARRIED).toBe("relay"));
  await import("./two-way.test.ts");
  await import("./random-history.test.ts");
  process.env.TEST_LINK = before;
  vi.resetModules();
});
