import { expect, test } from "vitest";
import { position } from "../../replicator/change/names.ts";
import { Lives } from "../../replicator/node/lives.ts";

const tick = (at: bigint, sealedAs?: string) => ({ position: position(at), seen: {}, ...(sealedAs !== undefined && { sealedAs }) });

test.each([
  ["goes on", [tick(1n, "a"), tick(1n, "a"), tick(2n, "b"), tick(40n, "c")], 0],
  ["begins, and is sealed where it begins", [tick(0n), tick(0n, "a"), tick(0n, "a"), tick(1n, "b")], 0],
  ["ends earlier", [tick(7n, "a"), tick(5n, "b"), tick(6n, "c")], 1],
  ["ends with another of the same number", [tick(7n, "a"), tick(7n, "b"), tick(7n, "b"), tick(8n, "c")], 1],
  ["was put back twice", [tick(7n, "a"), tick(5n, "b"), tick(5n, "b"), tick(3n, "c"), tick(4n, "d")], 2],
])("a log that %s", (_, ticks, times) => {
  const lives = new Lives();
  let thrown = 0;
  for (const one of ticks) {
    const before = lives.last?.sealedAs ?? null;
    try {
      lives.passed(one, before);
    } catch (error) {
      expect(error).toMatchObject({ code: "DATABASE_PUT_BACK", kind: "retry" });
      thrown += 1;
    }
  }
  expect([thrown, lives.count]).toEqual([times, times]);
});

test("a log that was put back, and has gone on past where it was, has another tick there", () => {
  const lives = new Lives();
  lives.passed(tick(7n, "a"), null);
  expect(() => lives.passed(tick(9n, "c"), "b")).toThrow(expect.objectContaining({ code: "DATABASE_PUT_BACK", kind: "retry" }));
  expect(lives.count).toBe(1);
});

test("a log that has no tick there any more may have been: what is remembered of it counts no longer", () => {
  const lives = new Lives();
  lives.passed(tick(7n, "a"), null);
  lives.passed(tick(9n, "c"), null);
  expect(lives.count).toBe(1);
});
