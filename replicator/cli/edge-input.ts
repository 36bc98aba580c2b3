import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { TomboloError } from "../change/error.ts";
import type { Credential } from "../edge/credential.ts";
import { Edge } from "../edge/edge.ts";
import { type EdgePlace, type Enrolment, edgeCredential, keepCredential } from "../edge/open-edge.ts";
import { isPostgres } from "../link/manifest.ts";
import { durationMs } from "../topology/units.ts";
import { optionInvalid } from "./option-values.ts";
import { type CommandContext, text, type VerbInput } from "./verb.ts";

/** What `edge`, and the verbs that act on an edge, are told about it: by options, or by a small file. */
export interface EdgeInput {
  readonly place: EdgePlace;
  readonly enrolment: Enrolment | undefined;
  readonly intervalMs: number;
}

const DEFAULT_INTERVAL = "60s";

const fileSchema = z.strictObject({
  database: z.string().min(1),
  hub: z.string().min(1).optional(),
  code: z.string().min(1).optional(),
  ca: z.string().min(1).optional(),
  credential: z.string().min(1).optional(),
  interval: z.string().optional(),
});

/** From `--database` and its companions; without them, from the file that `-c` names, where paths are as seen from the file. */
export async function edgeInput(context: CommandContext, input: VerbInput): Promise<EdgeInput> {
  const database = text(input, "database");
  if (database === undefined) return fromFile(context.file);
  return made({
    database,
    hub: text(input, "hub"),
    code: text(input, "code"),
    ca: text(input, "ca"),
    credential: text(input, "credential"),
    interval: text(input, "interval"),
  });
}

async function fromFile(file: string): Promise<EdgeInput> {
  const content = await readFile(file, "utf8").catch((cause: unknown) => {
    throw optionInvalid(`neither --database is given, nor can ${file} be read`, "Name the database: --database FILE.", cause);
  });
  const parsed = fileSchema.safeParse(parseDocument(content).toJS());
  if (!parsed.success) {
    const wrong = [...new Set(parsed.error.issues.map((issue) => issue.path.join(".") || "its keys"))].join(", ");
    throw new TomboloError(`${file} is not a file for an edge: wrong are ${wrong}`, {
      code: "OPTION_INVALID",
      kind: "usage",
      hint: "It has database, and may have hub, code, ca, credential and interval; see docs/edges.md.",
    });
  }
  const { database, ca, credential, ...rest } = parsed.data;
  const beside = (path: string): string => resolve(dirname(file), path);
  return made({
    ...rest,
    database: isPostgres(database) ? database : beside(database),
    ca: ca === undefined ? undefined : beside(ca),
    credential: credential === undefined ? undefined : beside(credential),
  });
}

interface Given {
  readonly database: string;
  readonly hub?: string | undefined;
  readonly code?: string | undefined;
  readonly ca?: string | undefined;
  readonly credential?: string | undefined;
  readonly interval?: string | undefined;
}

function made({ database, hub, code, ca, credential, interval = DEFAULT_INTERVAL }: Given): EdgeInput {
  const intervalMs = durationMs(interval);
  if (intervalMs === null || intervalMs < 1_000) throw optionInvalid(`--interval is no duration: ${interval}`, "Write 30s, 5m or 1h.");
  if (code !== undefined && hub === undefined) throw optionInvalid("--code needs --hub", "Give the hub's address with the code.");
  return {
    place: { database, ...(credential !== undefined && { credential }) },
    enrolment: hub === undefined || code === undefined ? undefined : { hub, code, ca: ca === undefined ? null : resolve(ca) },
    intervalMs,
  };
}

/** Opens an edge for one command and closes it whatever happens. */
export async function withEdge<T>(
  context: CommandContext,
  { place, enrolment }: EdgeInput,
  use: (edge: Edge, credential: Credential) => Promise<T>,
): Promise<T> {
  const credential = await edgeCredential(place, enrolment);
  const log = await context.logger();
  const edge = new Edge({
    credential,
    database: place.database,
    openNode: context.parts.openNode,
    observer: {
      applied: ({ source, target, kind, receipt }) =>
        log.debug({ source, target, kind, packet: String(receipt.number) }, "packet handed on"),
      caughtUp() {},
      failed() {},
      recovered() {},
      notice: ({ level, message, ...details }) => log[level](details, message),
    },
    now: Date.now,
    keep: (changed) => keepCredential(place, changed),
  });
  try {
    return await use(edge, credential);
  } finally {
    await edge.close();
  }
}
