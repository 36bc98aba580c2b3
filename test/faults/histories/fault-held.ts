import pg from "pg";
import type { Random } from "../../helpers/random.ts";
import type { Fault } from "./fault.ts";
import { putsBack } from "./plan.ts";
import { held, type Pen, plain } from "./transactions.ts";
import type { World } from "./world.ts";

const placed = (sql: string): string => {
  let at = 0;
  return sql.replaceAll("?", () => `$${++at}`);
};

interface Held {
  readonly client: pg.Client;
  readonly url: string;
  readonly pen: Pen;
}

/** A transaction at one of the servers that has done its work and has not ended; null where the server does not let it. */
async function hold({ plan, urls, writers, books }: World, random: Random): Promise<Held | null> {
  const at = random.pick([0, 1]);
  const kinds = putsBack(plan, at === 0 ? "hub" : "replica") ? plain : held;
  const url = at === 0 ? urls.hub : urls.replica;
  const client = new pg.Client({ connectionString: url, lock_timeout: 1_000 });
  client.on("error", () => undefined);
  const pen = (writers[at] as (typeof writers)[number]).pen();
  try {
    await client.connect();
    await client.query("begin");
    const statements = kinds(random)(pen);
    for (let next = statements.next(); !next.done; ) {
      const [sql, ...values] = next.value;
      next = statements.next((await client.query({ text: placed(sql), values, rowMode: "array" })).rows);
    }
    return { client, url, pen };
  } catch {
    books.uncertain([]);
    await client.end().catch(() => undefined);
    return null;
  }
}

/** Until it is done, whatever happens to the server; says what is there to be done with. */
async function ofServer(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

export const HELD = {
  "long transaction": async (world, random) => {
    const open = await hold(world, random);
    if (open === null) return {};
    const { client, pen } = open;
    let isDone = false;
    return {
      async end() {
        if (isDone) return;
        isDone = true;
        try {
          await client.query("commit");
          world.books.committed(pen.written, pen.over);
        } catch {
          world.books.uncertain(pen.over);
        } finally {
          await client.end().catch(() => undefined);
        }
      },
    };
  },
  "prepared transaction": async (world, random) => {
    const open = await hold(world, random);
    if (open === null) return {};
    const { client, url, pen } = open;
    const gid = `${pen.next()}`;
    const commits = random.chance(0.7);
    try {
      await client.query(`prepare transaction '${gid}'`);
    } catch {
      // the server went away: it may be prepared or not
    } finally {
      await client.end().catch(() => undefined);
    }
    let isToldOf = false;
    return {
      end: () =>
        ofServer(url, async (other) => {
          const { rows } = await other.query("select 1 from pg_prepared_xacts where gid = $1", [gid]);
          if (rows.length === 0) {
            // ended by the attempt before, or never prepared
            if (!isToldOf) world.books.uncertain(pen.over);
            isToldOf = true;
            return;
          }
          await other.query(`${commits ? "commit" : "rollback"} prepared '${gid}'`);
          if (commits && !isToldOf) world.books.committed(pen.written, pen.over);
          isToldOf = true;
        }),
    };
  },
} satisfies { [name: string]: Fault };
