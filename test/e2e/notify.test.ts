import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { type HookReceiver, hookReceiver, mailReceiver } from "../helpers/receivers.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openNotified(notifications: string): Promise<Shop> {
  const shop = await openShop();
  closing.push(shop.close);
  writeFileSync(shop.file, `${readFileSync(shop.file, "utf8")}${notifications}`);
  return shop;
}
const receiver = async (): Promise<HookReceiver> => {
  const made = await hookReceiver();
  closing.push(made.close);
  return made;
};
const run = (shop: Shop, log: string[] = []): Started => {
  const started = start(["-c", shop.file, "run", "--log-format", "json", "--log-level", "debug"], shop.env);
  started.process.stderr?.on("data", (text: string) => log.push(text));
  closing.push(() => started.stop("SIGKILL"));
  return started;
};

test("`notify --test` says of each target whether it takes messages, and its exit code of them all", async () => {
  const [ops, refusing] = [await receiver(), await receiver()];
  refusing.status = 403;
  const mail = await mailReceiver();
  closing.push(mail.close);
  const away = await freePort();
  const shop = await openNotified(`notifications:
  targets:
    - { name: ops, type: webhook, url: "${ops.url}" }
    - { name: night, type: email, server: "127.0.0.1:${mail.port}", tls: none, from: a@example.com, to: [b@example.com] }
    - { name: refusing, type: webhook, url: "${refusing.url}" }
    - { name: away, type: webhook, url: "http://127.0.0.1:${away}/" }
`);
  const notify = (...args: string[]) => tombolo(["-c", shop.file, "notify", "--test", ...args], shop.env);
  const all = await notify();
  expect(all.stdout).toMatch(
    /^ops \(webhook\): sent\nnight \(email\): sent\nrefusing \(webhook\): .*HTTP 403 \(NOTIFY_REFUSED\).*\naway \(webhook\): .*\(NOTIFY_UNREACHABLE\)/,
  );
  expect(all.code).toBe(4);
  expect([ops.posted.length, mail.mails.length]).toEqual([1, 1]);
  expect(JSON.parse(ops.posted[0]?.body ?? "")).toMatchObject({ event: "test", topology: "shop" });
  expect((await notify("--target", "night")).code).toBe(0);
  expect((await notify("--target", "refusing")).code).toBe(1);
  const unknown = await notify("--target", "nobody");
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("TARGET_UNKNOWN")]);
  const json = await notify("--json", "--target", "ops");
  expect(JSON.parse(json.stdout)).toEqual({ results: [{ target: "ops", type: "webhook", outcome: "sent", error: null }] });
  const none = await tombolo(["-c", (await openNotified("")).file, "notify"], shop.env);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("NOTIFY_NOT_CONFIGURED")]);
});

test("`run` tells of a full sync of another process; what a target does not take waits, and comes after a kill", async () => {
  const ops = await receiver();
  const canary = "canary-4711";
  const shop = await openNotified(`notifications:
  targets:
    - { name: ops, type: webhook, url: "${ops.url}?key=${canary}", secret: ${canary}, events: [full_sync_completed] }
`);
  const command = (...args: string[]) => tombolo(["-c", shop.file, ...args], shop.env);
  expect((await command("apply", "--yes")).code).toBe(0);
  const log: string[] = [];
  const first = run(shop, log);
  await shop.hub.query("insert into shop.orders values (1, 'a'), (2, 'b')");
  await until("the store has them", () => shop.storeRows("store-1") === "1:a 2:b");
  await until(
    "targets are known",
    async () => (await shop.hub.query("select from tombolo.notification_level where name = 'target/ops'")).rowCount === 1,
  );
  ops.status = 500;
  expect((await command("full-sync", "store-1", "--yes")).code).toBe(0);
  const waits = /^ops \(webhook\): 1 message waits, the oldest for .*HTTP 500 \(NOTIFY_REFUSED\)/;
  await until("a try has failed", async () => waits.test((await command("notify")).stdout));
  const metrics = async () => (await fetch(`${shop.url}/metrics`)).text();
  await until("it is counted", async () => (await metrics()).includes('tombolo_full_sync_runs_total{node="store-1",outcome="done"} 1'));
  await first.stop("SIGKILL");
  ops.status = 200;
  const tried = ops.posted.length;
  run(shop, log);
  await until("it has come", () => ops.posted.length > tried, 60_000);
  const events = ops.posted.map(({ body }) => JSON.parse(body));
  expect(events.at(-1)).toMatchObject({ event: "full_sync_completed", details: { node: "store-1", peer: "hub", rows: "2" } });
  expect(new Set(events.map(({ id }) => id)).size).toBe(1);
  await until("it is settled", async () => (await command("notify")).stdout === "ops (webhook): nothing waits\n");
  expect(await metrics()).toContain('tombolo_notifications_total{target="ops",outcome="sent"} 1');
  expect(log.join("")).toContain("notification sent");
  expect(log.join("")).not.toContain(canary);
});
