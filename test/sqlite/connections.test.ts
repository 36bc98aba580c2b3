import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { type Connection, DatabaseFile } from "../../replicator/node/sqlite/connection.ts";
import { PageCaches } from "../../replicator/node/sqlite/page-caches.ts";

const NODES = 12;

async function withFiles(count: number, run: (files: readonly DatabaseFile[], folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-connections-"));
  const files: DatabaseFile[] = [];
  try {
    for (let at = 0; at < count; at++) {
      const path = join(folder, `${at}.db`);
      const application = new Database(path);
      application.pragma("journal_mode = wal");
      application.exec("create table item (id integer primary key); insert into item values (1)");
      application.close();
      files.push(new DatabaseFile({ node: nodeName(`node-${at}`), path }));
    }
    await run(files, folder);
  } finally {
    for (const file of files) await file.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const items = (connection: Connection): unknown => connection.prepare("select count(*) from item").pluck().get();

/** Begins a write in every file; answers what ends it. */
async function writing(files: readonly DatabaseFile[]): Promise<() => Promise<void>> {
  let end = (): void => undefined;
  const until = new Promise<void>((resolve) => {
    end = resolve;
  });
  const begun: Promise<void>[] = [];
  const writes = files.map((file) => {
    let tell = (): void => undefined;
    begun.push(
      new Promise<void>((resolve) => {
        tell = resolve;
      }),
    );
    return file.writeAsync(async (connection) => {
      connection.exec("insert into item values (2)");
      tell();
      await until;
    });
  });
  await Promise.all(begun);
  return async () => {
    end();
    await Promise.all(writes);
  };
}

test("a read sees what is committed, also while a write is under way", async () => {
  await withFiles(1, async ([file]) => {
    if (file === undefined) return;
    expect(file.read(items)).toBe(1n);
    const before = file.version;
    const end = await writing([file]);
    expect(file.read(items)).toBe(1n);
    expect(file.version).toBe(before);
    await end();
    expect(file.read(items)).toBe(2n);
    expect(file.version).not.toBe(before);
  });
});

test("what is read within a write of the same connection is its own", async () => {
  await withFiles(1, async ([file]) => {
    await file?.write((connection) => {
      connection.exec("insert into item values (2)");
      expect(items(connection)).toBe(2n);
      expect(file.read(items)).toBe(1n);
    });
  });
});

test("a change of the schema shows in its number, whoever makes it", async () => {
  await withFiles(1, async ([file], folder) => {
    const before = file?.schemaVersion;
    const application = new Database(join(folder, "0.db"));
    application.exec("insert into item values (7)");
    expect(file?.schemaVersion).toBe(before);
    application.exec("alter table item add column name text");
    application.close();
    expect(file?.schemaVersion).not.toBe(before);
  });
});

test("however many files are written to, few connections are open beside those that write", async () => {
  const opened = vi.spyOn(DatabaseFile.prototype, "connect");
  const open = (): number => opened.mock.results.filter(({ value }) => (value as Connection).open).length;
  await withFiles(NODES, async (files) => {
    expect(open()).toBe(NODES);
    const end = await writing(files);
    try {
      for (let round = 0; round < 2; round++) for (const file of files) expect(file.read(items)).toBe(1n);
      expect(open()).toBeLessThanOrEqual(NODES + 4);
    } finally {
      await end();
    }
    for (const file of files) expect(file.read(items)).toBe(2n);
  });
  expect(open()).toBe(0);
  opened.mockRestore();
});

test("many open files share the room for pages that a few have, and have it back when others are closed", () => {
  const caches = new PageCaches();
  const connections = Array.from({ length: 50 }, () => new Database(":memory:"));
  const sizes = (): number[] => connections.map((connection) => -(connection.pragma("cache_size", { simple: true }) as number));
  const [first, ...others] = connections as [Database.Database, ...Database.Database[]];
  caches.add(first);
  const alone = sizes()[0] as number;
  for (const other of others) caches.add(other);
  const together = sizes();
  expect(together.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(4 * alone);
  expect(new Set(together).size).toBe(1);
  for (const other of others) caches.delete(other);
  expect(sizes()[0]).toBe(alone);
  for (const connection of connections) connection.close();
});
