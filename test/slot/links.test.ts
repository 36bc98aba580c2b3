import { describe, expect, test, vi } from "vitest";

// The same suites as where triggers capture: see test/helpers/nodes.ts. Files share a process, so all is loaded anew for them, and
// after them: nobody else's nodes shall capture from slots.
describe("captured from slots:", async () => {
  const before = process.env.TEST_CAPTURE ?? "";
  process.env.TEST_CAPTURE = "slot";
  vi.resetModules();
  const { CAPTURE } = await import("../helpers/nodes.ts");
  test("the suites below have nodes that capture from slots", () => expect(CAPTURE).toBe("slot"));
  await import("../link/two-way.test.ts");
  await import("../link/tree.test.ts");
  await import("../link/obey.test.ts");
  process.env.TEST_CAPTURE = before;
  vi.resetModules();
});
