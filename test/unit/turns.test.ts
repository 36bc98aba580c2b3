import { setImmediate as breathe } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Turn, Turns } from "../../replicator/hub/turns.ts";

test("so many work at once; the others come in the order in which they came, and one who gives its turn back while it waits keeps nobody out", async () => {
  const turns = new Turns({ atOnce: 2 });
  const [first, second] = [await turns.begin(), await turns.begin()];
  const came: string[] = [];
  const comes = async (name: string): Promise<Turn> => {
    const turn = await turns.begin();
    came.push(name);
    return turn;
  };
  const third = comes("third");
  const fourth = comes("fourth");
  await breathe();
  expect(came).toEqual([]);
  let news = (): void => undefined;
  const waiting = first.without(() => new Promise<void>((resolve) => (news = resolve))).then(() => came.push("first again"));
  const inThird = await third;
  news();
  await breathe();
  expect(came).toEqual(["third"]);
  second.giveBack();
  second.giveBack();
  const inFourth = await fourth;
  inThird.giveBack();
  await waiting;
  expect(came).toEqual(["third", "fourth", "first again"]);
  inFourth.giveBack();
  first.giveBack();
  // nothing was given back twice
  const last = [await turns.begin(), await turns.begin()];
  const fifth = comes("fifth");
  await breathe();
  expect(came).toHaveLength(3);
  for (const turn of last) turn.giveBack();
  await fifth;
});

test("who would wait for too long is told to come again, and keeps no place", async () => {
  const turns = new Turns({ atOnce: 1, patienceMs: 1 });
  const turn = await turns.begin();
  await expect(turns.begin()).rejects.toMatchObject({ code: "RATE_LIMITED", kind: "retry" });
  turn.giveBack();
  await turns.begin();
});

test("what others bring is waited for without a turn", async () => {
  const turns = new Turns({ atOnce: 1 });
  const turn = await turns.begin();
  const seen: string[] = [];
  async function* brought(): AsyncGenerator<number> {
    for (const item of [1, 2]) {
      const other = await turns.begin();
      seen.push(`other ${item}`);
      other.giveBack();
      yield item;
    }
  }
  for await (const item of turn.whileOthersBring(brought())) seen.push(`own ${item}`);
  expect(seen).toEqual(["other 1", "own 1", "other 2", "own 2"]);
});
