import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { killServer, restartServer } from "../../helpers/crash.ts";
import { dropDatabase, durableServer, withClient } from "../../helpers/postgres.ts";
import type { SmallDisk } from "../../helpers/small-disk.ts";
import { withWrongClock } from "./clocks.ts";

/**
 * As servers are that replicate, but that they leave the disk to the operating system: it survives what happens here, and what a killed server had not
 * yet written to it is lost all the same.
 */
const SETTINGS = {
  fsync: "off",
  wal_level: "logical",
  max_replication_slots: "20",
  max_wal_senders: "20",
  max_prepared_transactions: "20",
  max_connections: "200",
};
const YEAR_S = 31_557_600;
/** With who owns what: a server minds that. */
const copyTree = (from: string, to: string): Promise<unknown> => promisify(execFile)("cp", ["-a", from, to]);

/** A server that is killed and started again, and outlives many histories. */
export class Ground {
  readonly #server: Awaited<ReturnType<typeof durableServer>>;
  #years = 0;

  private constructor(server: Awaited<ReturnType<typeof durableServer>>) {
    this.#server = server;
  }

  static async open(): Promise<Ground> {
    return new Ground(await withWrongClock(0, () => durableServer(SETTINGS)));
  }

  get port(): number {
    return Number(new URL(this.#server.url).port);
  }

  /** An empty database, on a server whose clock is so many years off; its files are on `disk`, its write-ahead log is where the server's is. */
  async database({ years, disk }: { readonly years: number; readonly disk: SmallDisk | null }): Promise<{
    readonly url: string;
    drop(): Promise<void>;
  }> {
    if (years !== this.#years) {
      this.#years = years;
      await this.kill();
      await this.start();
    }
    const { url: server } = this.#server;
    const name = `history_${randomBytes(6).toString("hex")}`;
    await withClient(server, async (client) => {
      if (disk !== null) await client.query(`create tablespace ${name} location '${this.#owned(disk)}'`);
      await client.query(`create database ${name} strategy file_copy${disk === null ? "" : ` tablespace ${name}`}`);
    });
    const url = new URL(server);
    url.pathname = `/${name}`;
    return { url: url.href, drop: () => this.#drop(name) };
  }

  async kill(): Promise<void> {
    await killServer(this.#server.directory);
  }

  start(): Promise<void> {
    return withWrongClock(this.#years * YEAR_S, () => restartServer({ ...this.#server, settings: SETTINGS }));
  }

  /** What is on its disk is put aside while it is down; then `meanwhile` happens, and in the end it is as it was, and starts from that. */
  async restored(meanwhile: () => Promise<void>): Promise<void> {
    const [data, copy] = ["pgdata", "pgdata-old"].map((name) => join(this.#server.directory, name)) as [string, string];
    await this.kill();
    await copyTree(data, copy);
    await this.start();
    await meanwhile();
    await this.kill();
    await rm(data, { recursive: true });
    await rename(copy, data);
    await this.start();
  }

  close(): Promise<void> {
    return this.#server.remove();
  }

  /** The path of a disk that the server may write to. */
  #owned({ path }: SmallDisk): string {
    const { uid, gid } = statSync(join(this.#server.directory, "pgdata"));
    chownSync(path, uid, gid);
    return path;
  }

  async #drop(name: string): Promise<void> {
    const at = new URL(this.#server.url);
    at.pathname = `/${name}`;
    await withClient(at.href, async (client) => {
      const { rows } = await client.query<{ gid: string }>("select gid from pg_prepared_xacts where database = current_database()");
      for (const { gid } of rows) await client.query(`rollback prepared '${gid}'`);
    });
    await withClient(this.#server.url, async (admin) => {
      await dropDatabase(admin, name);
      await admin.query(`drop tablespace if exists ${name}`);
    });
  }
}
