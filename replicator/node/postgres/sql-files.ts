import { readdirSync, readFileSync } from "node:fs";

/** A numbered file of `sql/postgres`, e.g. `0002_capture.sql`. */
export interface SqlFile {
  readonly version: number;
  /** The file's name without number and ending. */
  readonly name: string;
  /** As it stands, with `:hstore` for the schema of the extension. */
  readonly text: string;
}

// from the sources and from dist/ alike: the build copies sql/ beside the compiled code
const FOLDER = new URL("../../../sql/postgres/", import.meta.url);
const FILE = /^(\d{4})_(\w+)\.sql$/;

let files: readonly SqlFile[] | undefined;

/** All files in order; read once. */
export function sqlFiles(): readonly SqlFile[] {
  files ??= readdirSync(FOLDER)
    .sort()
    .flatMap((file) => {
      const match = FILE.exec(file);
      if (match === null) return [];
      return [{ version: Number(match[1]), name: String(match[2]), text: readFileSync(new URL(file, FOLDER), "utf8") }];
    });
  return files;
}
