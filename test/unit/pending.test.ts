import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChangesBehind, COUNTED_CHANGES, type Pending, pendingBy } from "../../replicator/node/pending.ts";

const CHANNELS = ["a", "b"];
const PEERS = [1, 2, 3, 4];
const peer = fc.constantFrom(...PEERS);
const log = fc.array(
  fc.record({
    channel: fc.constantFrom(...CHANNELS),
    origin: fc.option(peer),
    target: fc.option(peer, { freq: 3 }),
    at: fc.integer({ min: 1, max: 1000 }),
  }),
  { maxLength: 40 },
);
const sents = fc.array(fc.dictionary(fc.constantFrom(...CHANNELS), fc.nat(40).map(String)), {
  minLength: PEERS.length,
  maxLength: PEERS.length,
});

/** A change's position is its index. */
type Log = typeof log extends fc.Arbitrary<infer T> ? T : never;

function counted(changes: Log, id: number, sent: { readonly [channel: string]: string }): Pending {
  if (Object.keys(sent).length === 0) return { changes: null, oldest: null };
  const own = changes.filter(
    ({ channel, origin, target }, at) =>
      sent[channel] !== undefined && at >= Number(sent[channel]) && (target === null ? origin !== id : target === id),
  );
  return { changes: own.length, oldest: own.length === 0 ? null : Math.min(...own.map(({ at }) => at)) };
}

/** As a database groups what is behind a place. */
function behindOf(changes: Log, channel: string, position: string): ChangesBehind[] {
  const groups = new Map<string, ChangesBehind>();
  for (const one of changes.slice(Number(position)).filter((change) => change.channel === channel)) {
    const id = `${one.origin} ${one.target}`;
    const { changes: before = 0, oldest = null } = groups.get(id) ?? {};
    const first = oldest === null ? one.at : Math.min(oldest, one.at);
    groups.set(id, { channel, position, origin: one.origin, target: one.target, changes: before + 1, oldest: first });
  }
  return [...groups.values()];
}

test("what is pending for a peer, counted once per place, is what it would be counted for each of them", () => {
  fc.assert(
    fc.property(log, sents, (changes, sent) => {
      const places = new Map(
        sent.flatMap((one) => Object.entries(one)).map(([channel, position]) => [`${channel} ${position}`, { channel, position }]),
      );
      const behind = [...places.values()].flatMap(({ channel, position }) => behindOf(changes, channel, position));
      const pending = pendingBy(
        behind,
        [...places.values()].map((place) => ({ ...place, numbers: 0 })),
      );
      for (const [index, id] of PEERS.entries()) expect(pending(id, sent[index] ?? {})).toEqual(counted(changes, id, sent[index] ?? {}));
    }),
  );
});

test("where counting ended before the log did, the numbers that the log has given are the estimate", () => {
  const behind = [{ channel: "a", position: "7", origin: null, target: null, changes: COUNTED_CHANGES, oldest: 5 }];
  const pending = pendingBy(behind, [{ channel: "a", position: "7", numbers: 250_000 }]);
  expect(pending(1, { a: "7" })).toEqual({ changes: 250_000, oldest: 5 });
});
