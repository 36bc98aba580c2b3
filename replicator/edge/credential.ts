import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { TomboloError } from "../change/error.ts";
import { failpoint } from "../change/failpoints.ts";
import { type Manifest, manifestSchema } from "../link/manifest.ts";

/** What an edge keeps of its enrolment: enough to find the hub and to be known there. Nothing else may read it. */
export interface Credential {
  readonly hub: string;
  /** The edge's name at the hub. */
  readonly node: string;
  readonly token: string;
  /** Of a PEM file with the certificates that the hub's is checked by; null for those that Node brings. */
  readonly ca: string | null;
  /** When the token ends, RFC 3339; null for never. */
  readonly expiresAt?: string | null | undefined;
  /** Just enrolled: whether the database has to begin anew is still to be seen. */
  readonly fresh?: boolean | undefined;
  /** What the hub last told of its topology, and when it did, RFC 3339: what files that travel are made by. */
  readonly told?: { readonly manifest: Manifest; readonly madeAt: string } | undefined;
}

const schema = z.strictObject({
  hub: z.url(),
  node: z.string().min(1),
  token: z.string().min(1),
  ca: z.string().nullable(),
  expiresAt: z.string().nullable().optional(),
  fresh: z.boolean().optional(),
  told: z.strictObject({ manifest: manifestSchema, madeAt: z.iso.datetime() }).optional(),
});

/** Beside the database, so that the two are found together; a copy of the database alone has no credential. */
export const credentialPath = (database: string): string => `${resolve(database)}-tombolo-edge.json`;

/** Null when there is none. Throws `EDGE_CREDENTIAL` (usage) for one that cannot be read. */
export async function readCredential(path: string): Promise<Credential | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unreadable(path, cause);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // the cause would quote the token
    throw unreadable(path);
  }
}

/** Whole or not at all; readable by this user only. */
export async function writeCredential(path: string, credential: Credential): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, `${JSON.stringify(credential, null, 2)}\n`, { mode: 0o600 });
  // a draft that a crash left behind keeps the mode that it had
  await chmod(draft, 0o600);
  failpoint("edge.credential_drafted");
  await rename(draft, path);
  failpoint("edge.credential_kept");
}

const unreadable = (path: string, cause?: unknown): TomboloError =>
  new TomboloError(`the edge's credential cannot be read: ${path}`, {
    code: "EDGE_CREDENTIAL",
    kind: "usage",
    hint: "Correct its permissions, or remove it and enrol again with a new code.",
    ...(cause === undefined ? {} : { cause }),
  });
