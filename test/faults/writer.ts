import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import pg from "pg";
import type { Oracle } from "./oracle.ts";

/** An application that writes to one node until it is told to stop, and survives the node's crashes. */
export interface Writer {
  stop(): Promise<void>;
}

interface WriterOptions {
  readonly node: string;
  readonly oracle: Oracle;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly pauseMs: number;
}

type Write = { readonly kind: "insert" | "update" | "delete"; readonly token: string };

function* writes({ node, random }: WriterOptions): Generator<Write> {
  for (let number = 1; ; number++) {
    const dice = random();
    yield { kind: dice < 0.5 ? "insert" : dice < 0.93 ? "update" : "delete", token: `${node}:${number}` };
  }
}

export function postgresWriter(url: string, options: WriterOptions): Writer {
  let stopped = false;
  const { oracle } = options;
  const work = async (): Promise<void> => {
    let client: pg.Client | undefined;
    for (const { kind, token } of writes(options)) {
      if (stopped) break;
      let over: string | null = null;
      let sent = false;
      try {
        if (client === undefined) {
          client = new pg.Client({ connectionString: url });
          client.on("error", () => undefined);
          await client.connect();
        }
        await client.query("begin");
        if (kind === "insert") {
          await client.query("insert into public.note (id, body) values ($1, $1)", [token]);
        } else {
          const { rows } = await client.query("select id, body from public.note order by random() limit 1 for update skip locked");
          const row = rows[0] as { id: string; body: string } | undefined;
          if (row !== undefined) {
            over = row.body;
            if (kind === "update") await client.query("update public.note set body = $2 where id = $1", [row.id, token]);
            else await client.query("delete from public.note where id = $1", [row.id]);
          }
        }
        sent = true;
        await client.query("commit");
        if (kind === "insert" || (kind === "update" && over !== null)) oracle.committed(token, over);
        else if (over !== null) oracle.committed(over, over);
      } catch {
        if (sent) oracle.uncertain(token, over);
        await client?.end().catch(() => undefined);
        client = undefined;
        await delay(50);
      }
      await delay(options.pauseMs * options.random());
    }
    await client?.end().catch(() => undefined);
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
    },
  };
}

export function sqliteWriter(path: string, options: WriterOptions): Writer {
  let stopped = false;
  const { oracle } = options;
  const work = async (): Promise<void> => {
    const database = new Database(path, { timeout: 10_000 });
    for (const { kind, token } of writes(options)) {
      if (stopped) break;
      let over: string | null = null;
      database
        .transaction(() => {
          if (kind === "insert") {
            database.prepare("insert into note (id, body) values (?, ?)").run(token, token);
            return;
          }
          const row = database.prepare("select id, body from note order by random() limit 1").get() as
            | { id: string; body: string }
            | undefined;
          if (row === undefined) return;
          over = row.body;
          if (kind === "update") database.prepare("update note set body = ? where id = ?").run(token, row.id);
          else database.prepare("delete from note where id = ?").run(row.id);
        })
        .immediate();
      if (kind === "insert" || (kind === "update" && over !== null)) oracle.committed(token, over);
      else if (over !== null) oracle.committed(over, over);
      await delay(options.pauseMs * options.random());
    }
    database.close();
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
    },
  };
}
