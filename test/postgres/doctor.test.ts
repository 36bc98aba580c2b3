import { expect, test } from "vitest";
import { postgresNode } from "../helpers/nodes.ts";

test("a sequence that hands out numbers out of order is an error, with its remedy", async () => {
  const hub = await postgresNode("hub", "create table public.item (id integer primary key)", [{ name: "item" }], { capture: "trigger" });
  try {
    const found = async () => (await hub.node.installation.examine()).find(({ code }) => code === "SEQUENCE_CACHE");
    expect(await found()).toBeUndefined();
    await hub.rows("alter sequence tombolo.change_seq cache 32");
    const finding = await found();
    expect(finding).toMatchObject({ severity: "error", hint: "Run alter sequence tombolo.change_seq cache 1." });
    await hub.rows("alter sequence tombolo.change_seq cache 1");
    expect(await found()).toBeUndefined();
  } finally {
    await hub.close();
  }
});
