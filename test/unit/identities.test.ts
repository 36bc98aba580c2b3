import { expect, test } from "vitest";
import { epoch } from "../../replicator/change/names.ts";
import { identityOf } from "../../replicator/link/identities.ts";
import type { NodeIdentity } from "../../replicator/node/identity.ts";
import type { Node } from "../../replicator/node/node.ts";

/** A node of which nothing is asked but who it is. */
function node(answers: readonly (() => Promise<NodeIdentity>)[]): { node: Node; asked: () => number } {
  let asked = 0;
  const identity = (): Promise<NodeIdentity> => (answers[asked++] as () => Promise<NodeIdentity>)();
  return { node: { installation: { identity } } as unknown as Node, asked: () => asked };
}

const answer = (clockOffsetMs: number) => async (): Promise<NodeIdentity> => ({
  epoch: epoch("00000000-0000-4000-8000-000000000001"),
  clockOffsetMs,
  version: "",
});

test("links of a node share what was read of it a moment ago, and one that asks for it now gets it as it is", async () => {
  const { node: hub, asked } = node([answer(1), answer(2), answer(3)]);
  const [first, second] = await Promise.all([identityOf(hub, { now: 0, atMostMs: 10 }), identityOf(hub, { now: 9, atMostMs: 10 })]);
  expect([first.clockOffsetMs, second.clockOffsetMs, asked()]).toEqual([1, 1, 1]);
  expect((await identityOf(hub, { now: 9, atMostMs: 0 })).clockOffsetMs).toBe(2);
  expect((await identityOf(hub, { now: 18, atMostMs: 10 })).clockOffsetMs).toBe(2);
  expect((await identityOf(hub, { now: 19, atMostMs: 10 })).clockOffsetMs).toBe(3);
});

test("a failure is told to who waited for it, and to nobody later", async () => {
  const { node: hub } = node([() => Promise.reject(new Error("away")), answer(1)]);
  await expect(identityOf(hub, { now: 0, atMostMs: 10 })).rejects.toThrow("away");
  expect((await identityOf(hub, { now: 1, atMostMs: 10 })).clockOffsetMs).toBe(1);
});
