import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MediaWorld } from "../helpers/media-world.ts";

describe.each(["postgres", "sqlite"] as const)("files between a %s hub and an edge of a group", (engine) => {
  let world: MediaWorld;
  beforeEach(async () => {
    world = await MediaWorld.open(engine);
    await world.nodes.hub.write("insert into item values ('a', 'hub', 10)");
  });
  afterEach(() => world.close());

  test("go on from where HTTP ended, in both directions, and HTTP goes on from them", async () => {
    await world.http();
    await world.nodes.edge.write("insert into item values ('b', 'edge', 1); update item set qty = qty + 1 where id = 'a'");
    await world.nodes.hub.write("insert into item values ('c', 'hub', 1); update item set qty = qty + 2 where id = 'a'");
    // no greeting is needed: the two have spoken
    expect(await world.import("hub", [await world.export("edge")])).toMatchObject([{ changes: 2, conflicts: 1, isOvertaken: false }]);
    expect(await world.import("edge", [await world.export("hub")])).toMatchObject([{ isOvertaken: false }]);
    await world.import("hub", [await world.export("edge")]);
    await world.import("edge", [await world.export("hub")]);
    expect(await world.same()).toEqual(["a hub 13", "b edge 1", "c hub 1"]);
    expect(await world.http()).toMatchObject({ sent: 0, received: 0 });
    await world.nodes.edge.write("update item set qty = qty + 1");
    expect(await world.http()).toMatchObject({ sent: 3 });
    await world.nodes.hub.write("update item set qty = qty + 1");
    await world.import("edge", [await world.export("hub")]);
    expect(await world.same()).toEqual(["a hub 15", "b edge 3", "c hub 3"]);
  });

  test("bring the first rows as well, once the edge has been told what it is", async () => {
    await world.edge.edge.travel();
    await world.nodes.edge.write("insert into item values ('b', 'edge', 1)");
    for (let round = 0; round < 3; round++) {
      await world.import("hub", [await world.export("edge")]);
      await world.import("edge", [await world.export("hub")]);
    }
    expect(await world.same()).toEqual(["a hub 10", "b edge 1"]);
    expect(await world.http()).toMatchObject({ sent: 0, received: 0 });
  });

  test("that were overtaken by HTTP change nothing, and what only they have is not lost", async () => {
    await world.http();
    const bump = async (): Promise<void> => {
      for (const each of [world.nodes.edge, world.nodes.hub]) await each.write("update item set qty = qty + 1 where id = 'a'");
    };
    const early = { edge: [] as string[], hub: [] as string[] };
    for (let each = 0; each < 6; each++) {
      await bump();
      for (const from of ["edge", "hub"] as const) early[from].push(await world.export(from));
    }
    // one packet each way, where the files have several
    await world.edge.edge.exchange({ final: false, signal: new AbortController().signal });
    await bump();
    const late = { edge: await world.export("edge"), hub: await world.export("hub") };
    const taken = [
      ...(await world.import("hub", [...early.edge, late.edge].reverse())),
      ...(await world.import("edge", [late.hub, ...early.hub])),
    ];
    expect(taken.filter((each) => typeof each === "object" && each.isOvertaken)).not.toEqual([]);
    for (let round = 0; round < 2; round++) {
      await world.import("hub", [await world.export("edge")]);
      await world.import("edge", [await world.export("hub")]);
    }
    expect(await world.same()).toEqual(["a hub 24"]);
    expect(await world.http()).toMatchObject({ sent: 0, received: 0 });
    expect(await world.same()).toEqual(["a hub 24"]);
  });

  test("that say less than the hub knows already are no sign of a copied database", async () => {
    await world.http();
    await world.nodes.edge.write("update item set qty = qty + 1");
    const file = await world.export("edge");
    for (let round = 0; round < 3; round++) {
      await world.nodes.hub.write("update item set qty = qty + 1");
      await world.nodes.edge.write("update item set qty = qty + 1");
      await world.http();
    }
    await world.import("hub", [file]);
    await world.http();
    expect(await world.same()).toEqual(["a hub 17"]);
  });
});
