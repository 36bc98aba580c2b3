import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { withClient } from "../helpers/postgres.ts";
import { type HookReceiver, hookReceiver } from "../helpers/receivers.ts";
import { openShop, type Shop } from "../helpers/shop.ts";
import { type Prometheus, RULES, type Sample, startPrometheus } from "./prometheus.ts";

const DASHBOARDS = fileURLToPath(new URL("../../dashboards/grafana/", import.meta.url));

let shop: Shop;
let hook: HookReceiver;
let prometheus: Prometheus;
const started: Started[] = [];
let writing: NodeJS.Timeout;

/** Somebody writes at both ends all the while. */
function write(): void {
  let id = 10_000;
  writing = setInterval(() => {
    id += 2;
    shop.store("store-1").exec(`insert into orders values (${id}, 'store', 1)`);
    shop.hub.query("insert into shop.orders values ($1, 'hub', 1)", [id + 1]).catch(() => undefined);
  }, 250);
}

/** A hub that captures from a slot, a store, one that is away, an edge over HTTP, reconciles, notifications: every metric has something to tell. */
beforeAll(async () => {
  hook = await hookReceiver();
  shop = await openShop({ conflict: "manual", stores: ["store-1", "store-2"], missing: ["store-2"] });
  await withClient(shop.database.superUrl, async (client) => {
    await client.query("alter system set max_slot_wal_keep_size = '4GB'");
    await client.query("select pg_reload_conf()");
  });
  const hubPort = await freePort();
  const text = readFileSync(shop.file, "utf8").replace("type: postgres,", "type: postgres, capture: slot,");
  writeFileSync(
    shop.file,
    `${text}groups: [{ name: tills, parent: hub, channels: [sales] }]
hub: { listen: "127.0.0.1:${hubPort}" }
reconcile: [{ name: often, cron: "*/3 * * * * *", links: [hub/store-1] }]
notifications: { targets: [{ name: ops, type: webhook, url: "${hook.url}" }] }
`,
  );
  const command = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tombolo(["-c", shop.file, ...args], shop.env);
    if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await command("apply", "--yes", "--node", "hub", "store-1");
  // edges are counted once a minute, and first of all when the replicator begins
  const service = start(["-c", shop.file, "serve"], shop.env);
  started.push(service);
  await until("the hub answers", async () => (await fetch(`http://127.0.0.1:${hubPort}/v1/ping`)).ok);
  const till = shop.store("till-1");
  till.exec("insert into orders values (9000, 'of the till', 1)");
  const code = await command("tokens", "create", "--role", "node", "--group", "tills", "--node", "till-1");
  const edge = ["edge", "--database", join(shop.folder, "till-1.db"), "--hub", `http://127.0.0.1:${hubPort}`, "--code", code];
  started.push(start([...edge, "--interval", "1s"], shop.env));
  await until("the edge has enrolled", async () => (await shop.hubRows()).includes("of the till"));
  await service.stop();
  started.push(start(["-c", shop.file, "run", "--log-format", "json"], shop.env));
  // what fails while all of it starts is no alert of a system at work
  const hasReconciled = /tombolo_reconcile_runs_total\{name="often",outcome="clean"\} [1-9]/;
  await until("a reconcile has ended", async () => hasReconciled.test(await (await fetch(`${shop.url}/metrics`)).text()));
  prometheus = await startPrometheus(new URL(shop.url).host);
  await shop.hub.query("insert into shop.orders select n, 'hub', 1 from generate_series(1, 50) n");
  await until("the store has them", () => shop.storeRows("store-1").split(" ").length >= 50);
  await command("full-sync", "store-1", "--yes");
  // the same row, changed at both ends: one of the two comes second
  const store = shop.store("store-1");
  const hasConflict = async () => (await command("conflicts", "list", "--json")).includes('"open"');
  for (let row = 1; !(await hasConflict()) && row <= 50; row++) {
    store.exec(`begin immediate; update orders set note = 'of the store' where id = ${row}`);
    await shop.hub.query("update shop.orders set note = 'of the hub' where id = $1", [row]);
    store.exec("commit");
    await until("it has come up", async () => (await command("status", "--json")).includes('"pending_changes": 0'));
  }
  write();
}, 120_000);

afterAll(async () => {
  clearInterval(writing);
  await prometheus?.close();
  for (const each of started) await each.stop("SIGKILL");
  await hook?.close();
  await shop?.close();
});

interface Asked {
  readonly where: string;
  readonly expr: string;
}

/** As Grafana asks when all is chosen. */
const chosen = (expr: string): string =>
  expr
    .replaceAll("$__rate_interval", "15s")
    .replaceAll("$__range", "5m")
    .replaceAll(/\$(node|link|schedule|group)\b/g, ".*");

const panels: Asked[] = readdirSync(DASHBOARDS)
  .filter((name) => name.endsWith(".json"))
  .flatMap((name) => {
    const { title, panels: all } = JSON.parse(readFileSync(DASHBOARDS + name, "utf8"));
    return (all as { title: string; targets?: { expr: string }[] }[]).flatMap((panel) =>
      (panel.targets ?? []).map(({ expr }) => ({ where: `${title}: ${panel.title}`, expr: chosen(expr) })),
    );
  });

const rules = (parse(readFileSync(RULES, "utf8")) as { groups: { rules: { alert: string; expr: string }[] }[] }).groups.flatMap(
  (group) => group.rules,
);

const SELECTOR = /\b(tombolo_\w+|up|process_start_time_seconds)\b(\{[^}]*\})?/g;

/** What an alert compares, without the comparison: it is there also while the alert is quiet. */
const selectors: Asked[] = rules.flatMap(({ alert, expr }) =>
  [...expr.matchAll(SELECTOR)].map(([selector]) => ({ where: alert, expr: selector })),
);

const isNumber = ({ value }: Sample): boolean => Number.isFinite(Number(value[1]));

/** Those that have no data; an expression that Prometheus does not take throws. */
async function withoutData(asked: readonly Asked[]): Promise<string[]> {
  const missing: string[] = [];
  for (const { where, expr } of asked) if (!(await prometheus.query(expr)).some(isNumber)) missing.push(`${where}: ${expr}`);
  return missing;
}

/** Waits until all of them have data: some counters begin to count some seconds after the start. */
async function expectData(asked: readonly Asked[]): Promise<void> {
  let missing = [...asked];
  await until("every expression has data", async () => {
    const still = await withoutData(missing);
    missing = missing.filter(({ where, expr }) => still.includes(`${where}: ${expr}`));
    if (missing.length > 0) throw new Error(missing.map(({ where, expr }) => `${where}: ${expr}`).join("\n"));
    return true;
  });
}

test("every panel of every dashboard shows data, or a stated zero", async () => {
  expect(panels.length).toBeGreaterThan(60);
  await expectData(panels);
});

test("every alert compares what is there, and is evaluated without an error", async () => {
  await expectData(selectors);
  const { groups } = await prometheus.get("rules");
  const evaluated = (groups as { rules: { name: string; health: string; lastError?: string }[] }[]).flatMap((group) => group.rules);
  expect(evaluated.map(({ name }) => name)).toEqual(rules.map(({ alert }) => alert));
  for (const { name, health, lastError } of evaluated) expect([name, health, lastError ?? ""]).toEqual([name, "ok", ""]);
});

test("an open conflict makes its alert, and no other is there that should not be", async () => {
  await until("the conflict is seen", async () => (await prometheus.query("sum(tombolo_conflicts_open) > 0")).length === 1);
  await until("its alert is pending", async () => (await prometheus.query('ALERTS{alertname="TomboloConflictsOpen"}')).length === 1);
  const { alerts } = await prometheus.get("alerts");
  const critical = (alerts as { labels: { alertname: string; severity: string }; state: string }[]).filter(
    ({ state }) => state === "firing",
  );
  const log = started.flatMap((each) => each.stderr().split("\n")).filter((line) => /"level":"(warn|error)"/.test(line));
  expect(
    critical.map(({ labels }) => labels.alertname),
    log.join("\n"),
  ).toEqual([]);
});

test("promtool takes the rules, and each comes when it should", () => {
  const promtool = (...args: string[]) =>
    execFileSync("promtool", args, { cwd: dirname(RULES), encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  expect(promtool("check", "rules", "alerts.yml")).toContain("SUCCESS");
  expect(promtool("check", "config", "prometheus.yml")).toContain("SUCCESS");
  expect(promtool("test", "rules", "alerts.test.yml")).toContain("SUCCESS");
});
