import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  again,
  BEGINNING,
  confirmed,
  type MediumState,
  NEW_STATE,
  placeOf,
  type Stop,
  took,
  written,
} from "../../replicator/medium/medium-state.ts";

const stop = (number: number, packet: number, mark = ""): Stop => ({
  number,
  digest: (mark + number).padStart(64, "0"),
  packet: String(packet),
});

describe("a sender", () => {
  const three = [stop(1, 2), stop(2, 5), stop(3, 5)].reduce((state, each) => written(state, each, { after: each.packet }), NEW_STATE);

  test("goes on from what it wrote, until the peer has said otherwise", () => {
    expect(three.chain.map(({ number }) => number)).toEqual([0, 1, 2, 3]);
    expect(three.assumed).toEqual({ after: "5" });
  });

  test("forgets what the peer has, and keeps what is still on its way", () => {
    const heard = confirmed(three, stop(2, 5), { at: 5 });
    expect(heard?.chain.map(({ number }) => number)).toEqual([2, 3]);
    expect([heard?.heard, heard?.assumed]).toEqual([{ at: 5 }, { after: "5" }]);
    const all = confirmed(three, stop(3, 5), { at: 5 });
    expect([all?.chain.length, all?.assumed]).toEqual([1, null]);
  });

  test("begins anew from where the peer is when that took less than it was given", () => {
    const part = confirmed(three, stop(2, 3), { at: 3 });
    expect([part?.chain, part?.assumed]).toEqual([[stop(2, 3)], null]);
  });

  test("writes again what got lost, and knows it when it turns up all the same", () => {
    const lost = again(three);
    expect([lost.chain, lost.left.length, lost.assumed]).toEqual([[BEGINNING], 3, null]);
    const rewritten = written(lost, stop(1, 5, "b"), {});
    expect(confirmed(rewritten, stop(2, 5), { at: 5 })?.chain).toEqual([stop(2, 5)]);
    expect(confirmed(rewritten, stop(1, 5, "c"), {})).toBeNull();
  });

  test("is not led back by an older word of the peer", () => {
    const heard = confirmed(three, stop(3, 5), { at: 5 }) as MediumState;
    expect(confirmed(heard, stop(1, 2), { at: 2 })).toBe(heard);
    expect(confirmed({ ...heard, left: [stop(1, 2, "b")] }, stop(1, 2, "b"), { at: 2 })?.heard).toEqual({ at: 5 });
  });
});

test("a receiver takes media in their order, and tells the others apart", () => {
  const state = took(NEW_STATE, stop(2, 5));
  const place = (number: number, previous: string, digest: string) => placeOf(state, { number, previous, digest });
  expect(place(2, "", stop(2, 5).digest)).toBe("taken");
  expect(place(2, "", "other")).toBe("old");
  expect(place(1, "", stop(1, 2).digest)).toBe("old");
  expect(place(3, stop(2, 5).digest, "x")).toBe("next");
  expect(place(3, "other", "x")).toBe("fork");
  expect(place(5, "", "x")).toBe("ahead");
});

test("however media get lost, turn up late or are written again, sender and receiver find each other", () => {
  const step = fc.constantFrom("write", "take", "lose", "answer", "again");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let sender = NEW_STATE;
      let receiver = NEW_STATE;
      let mark = 0;
      const made: { stop: Stop; previous: string; from: bigint }[] = [];
      /** The last packet that the receiver has. */
      let packet = 0n;
      const write = (): void => {
        const last = sender.chain.at(-1) as Stop;
        const next = stop(last.number + 1, Number(last.packet) + 1, String(mark++).padStart(8, "0"));
        made.push({ stop: next, previous: last.digest, from: BigInt(last.packet) });
        sender = written(sender, next, {});
      };
      const take = (): void => {
        for (const each of [...made]) {
          if (placeOf(receiver, { ...each.stop, previous: each.previous }) !== "next") continue;
          // packets of it that are there already are passed over
          expect(each.from).toBeLessThanOrEqual(packet);
          packet = BigInt(each.stop.packet) > packet ? BigInt(each.stop.packet) : packet;
          receiver = took(receiver, each.stop);
        }
      };
      const answer = (): void => {
        const heard = confirmed(sender, { ...receiver.taken, packet: packet.toString() }, {});
        expect(heard).not.toBeNull();
        sender = heard as MediumState;
      };
      for (const each of steps) {
        if (each === "write") write();
        else if (each === "take") take();
        else if (each === "lose") made.pop();
        else if (each === "answer") answer();
        else sender = again(sender);
      }
      // in the end nothing gets lost any more
      answer();
      sender = again(sender);
      write();
      take();
      answer();
      expect(sender.chain).toHaveLength(1);
      expect(sender.chain[0]?.digest).toBe(receiver.taken.digest);
    }),
    { numRuns: 500 },
  );
});
