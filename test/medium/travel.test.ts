import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journey, keys } from "../helpers/journey.ts";

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
] as const)("media between a %s hub and a %s store", (...engines) => {
  let trip: Journey;
  beforeEach(async () => {
    trip = await Journey.open(engines);
  });
  afterEach(() => trip.close());

  test("changes travel both ways, and conflicts are decided at the hub", async () => {
    await trip.nodes.hub.write("insert into orders values ('1', 'hub', 1)");
    await trip.nodes.store.write("insert into orders values ('2', 'store', 2)");
    await trip.settle();
    expect(await trip.same()).toBe('[["1","hub","1"],["2","store","2"]]');
    await trip.nodes.hub.write("update orders set note = 'of the hub' where id = '1'");
    await trip.nodes.store.write("update orders set note = 'of the store' where id = '1'");
    await trip.settle();
    expect(await trip.same()).toContain("of the store");
    const [history] = await trip.nodes.hub.node.conflicts.list({ limit: 10 });
    expect(history).toMatchObject({ kind: "update_update", resolution: "child", childNode: "store" });
  });

  test("several media in any order; one that came before is passed over; a gap is named", async () => {
    await trip.settle();
    const files = [];
    for (const id of ["a", "b", "c"]) {
      await trip.nodes.store.write(`insert into orders values ('${id}', 'x', 1)`);
      files.push(await trip.export("store"));
    }
    const [first = "", second = "", third = ""] = files;
    await expect(trip.import("hub", [third])).rejects.toMatchObject({
      code: "MEDIUM_GAP",
      message: expect.stringMatching(/needs media \d+, \d+ of store/),
    });
    await expect(trip.import("hub", [third, first])).rejects.toMatchObject({ code: "MEDIUM_GAP" });
    expect(await trip.nodes.hub.rows("select id from orders")).toEqual([]);
    await trip.import("hub", [third, first, second]);
    expect(await trip.import("hub", [first, third])).toEqual(["old", "taken"]);
    expect((await trip.nodes.hub.rows("select id from orders order by id")).flat()).toEqual(["a", "b", "c"]);
    await trip.settle();
    await trip.same();
  });

  test("a medium that got lost is written again; when it turns up after all, nothing happens twice", async () => {
    await trip.settle();
    await trip.nodes.store.write("insert into orders values ('lost', 'x', 1)");
    const lost = await trip.export("store");
    await trip.nodes.store.write("insert into orders values ('more', 'x', 2)");
    const anew = await trip.export("store", { again: true });
    await trip.import("hub", [anew]);
    expect((await trip.nodes.hub.rows("select id from orders order by id")).flat()).toEqual(["lost", "more"]);
    expect(await trip.import("hub", [lost])).toEqual(["old"]);
    await trip.settle();
    await trip.same();
  });

  test("the one that was thought lost may be the one that is taken", async () => {
    await trip.settle();
    await trip.nodes.store.write("insert into orders values ('lost', 'x', 1)");
    const lost = await trip.export("store");
    const anew = await trip.export("store", { again: true });
    await trip.import("hub", [lost]);
    expect(await trip.import("hub", [anew])).toEqual(["old"]);
    const stale = await trip.export("store");
    await expect(trip.import("hub", [stale])).resolves.toEqual(["fork"]);
    await trip.nodes.store.write("insert into orders values ('later', 'x', 1)");
    await trip.import("store", [await trip.export("hub")]);
    await trip.settle();
    expect(await trip.same()).toContain("later");
  });

  test("an import that is cut off is simply done again", async () => {
    await trip.settle();
    await trip.nodes.store.write("insert into orders values ('1', 'x', 1)");
    const file = await trip.export("store");
    const { media } = trip.nodes.hub.node;
    const replace = media.replace.bind(media);
    media.replace = async () => {
      throw new Error("the power went");
    };
    await expect(trip.import("hub", [file])).rejects.toThrow("the power went");
    media.replace = replace;
    expect(await trip.import("hub", [file])).toMatchObject([{ changes: 0, conflicts: 0 }]);
    await trip.settle();
    await trip.same();
  });
});

// in a channel of both directions the log is kept for what the other's next packet is judged by, too
describe.each([
  ["postgres", "down"],
  ["sqlite", "down"],
  ["postgres", "up"],
  ["sqlite", "up"],
] as const)("a channel whose rows only a %s sends, %s", (engine, direction) => {
  const [from, to] = direction === "down" ? (["hub", "store"] as const) : (["store", "hub"] as const);
  let trip: Journey;
  beforeEach(async () => {
    trip = await Journey.open(direction === "down" ? [engine, "sqlite"] : ["sqlite", engine], direction);
  });
  afterEach(() => trip.close());

  test("the log keeps what no answer has confirmed", async () => {
    await trip.settle();
    await trip.import(from, [await trip.export(to)]);
    await trip.nodes[from].write("insert into orders values ('kept', 'x', 1)");
    await trip.export(from);
    // the newest is never purged
    await trip.nodes[from].write("insert into orders values ('newest', 'x', 1)");
    await trip.export(from);
    await trip.nodes[from].node.log.purge();
    await trip.import(to, [await trip.export(from, { again: true })]);
    expect((await trip.nodes[to].rows("select id from orders order by id")).flat()).toEqual(["kept", "newest"]);
  });
});

describe("a medium", () => {
  let trip: Journey;
  beforeEach(async () => {
    trip = await Journey.open(["sqlite", "sqlite"]);
  });
  afterEach(() => trip.close());

  test("is refused whole when a single byte of it was changed, or it was cut off", async () => {
    await trip.settle();
    await trip.nodes.store.write("insert into orders values ('secret', 'x', 1)");
    const file = await trip.export("store");
    const bytes = readFileSync(file);
    const other = join(trip.folder, "damaged.medium");
    const codes = new Set<string>();
    for (let at = 0; at < bytes.length; at += Math.ceil(bytes.length / 150)) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      writeFileSync(other, changed);
      codes.add(
        await trip.import("hub", [other]).then(
          () => "taken",
          (error: { code: string }) => error.code,
        ),
      );
      writeFileSync(other, bytes.subarray(0, at));
      codes.add(
        await trip.import("hub", [other]).then(
          () => "taken",
          (error: { code: string }) => error.code,
        ),
      );
    }
    expect([...codes].sort()).toEqual(["MEDIUM_DAMAGED", "MEDIUM_SIGNATURE"]);
    expect(await trip.nodes.hub.rows("select id from orders")).toEqual([]);
    await trip.import("hub", [file]);
    expect((await trip.nodes.hub.rows("select id from orders")).flat()).toEqual(["secret"]);
  });

  test("of another signer is refused", async () => {
    const file = await trip.export("store");
    await expect(trip.import("hub", [file], keys.hub.publicKey)).rejects.toMatchObject({ code: "MEDIUM_SIGNATURE" });
  });

  test("that is encrypted tells nothing but who, to whom, and its number; it opens with its passphrase only", async () => {
    await trip.settle();
    trip.passphrase = "correct horse";
    await trip.nodes.store.write("insert into orders values ('a-very-secret-key', 'a-very-secret-note', 1)");
    const file = await trip.export("store");
    const text = readFileSync(file, "latin1");
    expect(text).toContain('"source":"store"');
    expect(text).not.toMatch(/orders|secret|report|channel/);
    trip.passphrase = "wrong";
    await expect(trip.import("hub", [file])).rejects.toMatchObject({ code: "MEDIUM_PASSPHRASE" });
    trip.passphrase = null;
    await expect(trip.import("hub", [file])).rejects.toMatchObject({ code: "MEDIUM_PASSPHRASE" });
    trip.passphrase = "correct horse";
    await trip.import("hub", [file]);
    expect((await trip.nodes.hub.rows("select id from orders")).flat()).toEqual(["a-very-secret-key"]);
  });

  test("is never overwritten, and is there as a whole or not at all", async () => {
    const file = await trip.export("store");
    copyFileSync(file, `${file}.copy`);
    trip.count -= 1;
    await expect(trip.export("store")).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect(readFileSync(file).equals(readFileSync(`${file}.copy`))).toBe(true);
  });
});
