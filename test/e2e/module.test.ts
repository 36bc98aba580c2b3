import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tombolo } from "../helpers/command.ts";
import { openShop } from "../helpers/shop.ts";

test("a user's module decides in `sync`; what it prints stays out of the answer, and its thread does not keep the command", async () => {
  const shop = await openShop({ conflict: "{ policy: module, module: ./decide.js, otherwise: child_wins }" });
  try {
    writeFileSync(
      join(shop.folder, "decide.js"),
      `setInterval(() => {}, 1000);
      export default async ({ key, parent, child }) => {
        console.log("asked about", key);
        process.stdout.write("asked\\n");
        return { row: { note: parent.note + " and " + child.note } };
      };`,
    );
    const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
    expect((await command("apply", "--yes")).code).toBe(0);
    await shop.hub.query("insert into shop.orders values (1, 'base', 1)");
    expect((await command("sync")).code).toBe(0);
    await shop.hub.query("update shop.orders set note = 'hub' where id = 1");
    shop.store("store-1").exec("update orders set note = 'store' where id = 1");
    const started = performance.now();
    const { code, stdout, stderr } = await command("--json", "sync");
    expect([code, await shop.hubRows(), shop.storeRows("store-1")]).toEqual([0, "1:hub and store", "1:hub and store"]);
    expect(JSON.parse(stdout)).toBeTypeOf("object");
    expect(stderr).toContain("asked about { id: '1' }\nasked\n");
    expect(performance.now() - started).toBeLessThan(20_000);
  } finally {
    await shop.close();
  }
}, 60_000);
