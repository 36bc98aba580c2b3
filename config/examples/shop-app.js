// An application with a database of its own that keeps in step with a hub: run it with the hub's address and a code once, without
// them from then on. It works offline just as well.
//
//     node shop-app.js shop.db https://hub.example.com:7443 tbc_…
//     node shop-app.js shop.db
//
// Where no line reaches, changes go on files; `tombolo keys create` made shop.key, and the hub's operator gave hub.key.pub:
//
//     node shop-app.js shop.db export out.medium
//     node shop-app.js shop.db import back.medium
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { SyncService } from "tombolo/edge";

const [file = "shop.db", ...rest] = process.argv.slice(2);
const onFile = rest[0] === "export" || rest[0] === "import";
const [hub, code] = onFile ? [] : rest;

// the application's own connection and table; what Tombolo needs besides, it installs
const database = new Database(file);
database.pragma("journal_mode = wal");
database.exec("create table if not exists orders (id integer primary key, region text, note text)");

const beside = (name) => join(dirname(file), name);
const service = await SyncService.open({
  database,
  ...(hub && code ? { enrol: { hub, code } } : {}),
  media: { key: beside("shop.key"), trust: beside("hub.key.pub") },
});
service
  .on("status", (state) => console.log(`the hub is ${state === "offline" ? "away; we go on" : "there"} (${state})`))
  .on("completed", ({ sent, received }) => console.log(`${sent} sent, ${received} received`))
  .on("conflict", ({ count, open }) => console.log(`${count} of our changes conflicted, ${open} wait for a person`))
  .on("failed", (error, retryInMs) => console.log(`${error.message}; again in ${retryInMs} ms`));

if (onFile) {
  const [verb, medium] = rest;
  if (verb === "export") console.log(`${(await service.exportPending(medium)).changes} changes written to ${medium}`);
  else console.log(`${(await service.importChanges(medium)).received} changes taken from ${medium}`);
  await service.close();
  database.close();
  process.exit();
}

process.once("SIGTERM", async () => {
  await service.close();
  database.close();
});

// at once, and with the counts; then in the background
try {
  await service.syncNow();
} catch {
  console.log("offline for now");
}
service.start();

// what the application writes travels by itself
database.prepare("insert into orders (id, region, note) values (?, ?, ?)").run(Date.now(), "north", "written by the application");

for (const { table, reason, status } of await service.conflicts({ open: true }).catch(() => [])) console.log(table, status, reason);
