import { expect, test } from "vitest";
import { type Position, START } from "../../replicator/change/names.ts";
import { Rest } from "../../replicator/link/rest.ts";

test("a rest ends with news, and when they cannot be had: the next pass says why", async () => {
  const answers: { tell(): void; fail(error: Error): void }[] = [];
  const news = (): Promise<Position> => new Promise((resolve, reject) => answers.push({ tell: () => resolve(START), fail: reject }));
  const rest = new Rest({ log: { news }, now: () => 0 });
  rest.begin(START);
  expect(rest.isOn).toBe(true);
  answers[0]?.fail(new Error("the file is gone"));
  await new Promise(setImmediate);
  expect(rest.isOn).toBe(false);
  rest.begin(START);
  answers[1]?.tell();
  await new Promise(setImmediate);
  expect(rest.isOn).toBe(false);
});
