import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";

export type Encoding = "br" | "gzip" | "identity";

/** A file of the console, as it is sent. */
export interface ConsoleFile {
  readonly type: string;
  /** Its name changes with its contents. */
  readonly isImmutable: boolean;
  /** Compressed when it is first asked for. */
  as(encoding: Encoding): Promise<{ readonly body: Buffer; readonly etag: string }>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

const COMPRESS = {
  br: promisify(brotliCompress) as (body: Buffer) => Promise<Buffer>,
  gzip: promisify(gzip) as (body: Buffer) => Promise<Buffer>,
  identity: async (body: Buffer) => body,
};

/** What `npm run build` has made of dashboards/console, by path below `folder`; empty where nothing was built. Few and small: all are kept in memory. */
export async function readConsole(folder: string): Promise<ReadonlyMap<string, ConsoleFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const files = entries.filter((entry) => entry.isFile() && TYPES[extname(entry.name)] !== undefined);
  const read = files.map(async (entry): Promise<[string, ConsoleFile]> => {
    const file = join(entry.parentPath, entry.name);
    const path = file.slice(join(folder, "/").length).replaceAll("\\", "/");
    return [path, consoleFile(path, await readFile(file))];
  });
  return new Map(await Promise.all(read));
}

function consoleFile(path: string, contents: Buffer): ConsoleFile {
  const digest = createHash("sha256").update(contents).digest("base64url").slice(0, 22);
  const made = new Map<Encoding, Promise<Buffer>>();
  return {
    type: TYPES[extname(path)] as string,
    isImmutable: path.startsWith("assets/"),
    async as(encoding) {
      const body = made.get(encoding) ?? COMPRESS[encoding](contents);
      made.set(encoding, body);
      return { body: await body, etag: `"${digest}-${encoding}"` };
    },
  };
}
