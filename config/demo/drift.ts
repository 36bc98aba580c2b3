import { heading, say } from "./narrator.ts";
import { ADA } from "./shop-data.ts";
import type { Shop } from "./shop-servers.ts";
import { check, command } from "./typed-command.ts";

const GHOST = "ffffffff-ffff-4fff-8fff-ffffffffffff";
const COMPARE = ["reconcile", "--link", "hub/reports", "--table", "shop.customers"];

/** Somebody writes to the replica with the triggers disabled; it is found and mended while the writers go on. */
export async function makeDrift(shop: Shop): Promise<void> {
  heading("A drift on purpose");
  say("Somebody restores a customer at the replica, and a second one that never was, with the triggers disabled: no change tells of that.");
  await shop.databases.get("reports")!.script(`
    begin;
    do $$ declare t record; begin
      for t in select tgname from pg_trigger where tgrelid = 'shop.customers'::regclass and tgname like 'tombolo%' loop
        execute format('alter table shop.customers disable trigger %I', t.tgname);
      end loop; end $$;
    update shop.customers set email = 'ada@old.example' where id = '${ADA}';
    insert into shop.customers (id, name, email, city, points) values ('${GHOST}', 'Nobody', 'nobody@example.com', 'Nowhere', 0);
    do $$ declare t record; begin
      for t in select tgname from pg_trigger where tgrelid = 'shop.customers'::regclass and tgname like 'tombolo%' loop
        execute format('alter table shop.customers enable always trigger %I', t.tgname);
      end loop; end $$;
    commit`);
  say("The rows themselves are compared, while all writers go on:");
  const found = await command(shop, COMPARE, { exit: 3 });
  check(
    found.includes(", 2 differ") && found.includes(`${ADA} differs`) && found.includes(`${GHOST} only at reports`),
    "the drift was not told",
  );
  const repaired = await command(shop, [...COMPARE, "--repair", "parent"]);
  check(repaired.includes("2 repaired"), "the drift was not repaired");
  await command(shop, COMPARE);
  say("What the replica lost by that is kept in the hub's tombolo.conflict_history, and the run in tombolo.reconcile_run.");
}
