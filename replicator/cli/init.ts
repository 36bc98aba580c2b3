import { writeFile } from "node:fs/promises";
import { basename, dirname, relative, resolve } from "node:path";
import { TomboloError } from "../change/error.ts";
import { type NodeName, nodeName } from "../change/names.ts";
import { loadTopology } from "../topology/load.ts";
import { redact } from "../topology/redact.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { EXIT } from "./exit-codes.ts";
import { draftTopology, type Found } from "./init-draft.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { type CommandContext, list, type RunVerb, text, type VerbInput } from "./verb.ts";

export const init: RunVerb = async (context, input) => {
  const out = resolve(text(input, "out") ?? "topology.yaml");
  const configs = namedNodes(input);
  const name = text(input, "name") ?? "main";
  const found = await inspect(context, configs);
  const draft = draftTopology({ name, nodes: found, pathOf: (path) => relativePath(dirname(out), path) });
  await write(out, draft.text);
  await check(context, out, found);
  for (const node of found)
    if (node.variable !== null)
      context.out.note(`set ${node.variable} to the connection URL of ${node.config.name} (${redact(node.url ?? "")})`);
  const answer = { file: out, nodes: configs.map(({ name }) => name), tables: draft.tables, left_out: draft.leftOut };
  if (context.json) context.out.json(answer);
  else
    context.out.line(
      `${out}: ${plural(configs.length, "node")}, ${plural(draft.tables.length, "table")}. Read it, then run \`tombolo validate\`.`,
    );
  return EXIT.done;
};

function namedNodes(input: VerbInput): readonly TopologyNode[] {
  const urls = list(input, "postgres");
  const files = list(input, "sqlite");
  if (urls.length + files.length < 2) {
    throw new TomboloError("a topology needs at least two databases", {
      code: "TOO_FEW_DATABASES",
      kind: "usage",
      hint: "Give them with --postgres URL and --sqlite FILE.",
    });
  }
  const taken = new Set<string>();
  const unique = (wanted: string): NodeName => {
    const clean =
      wanted
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, "") || "node";
    let name = clean;
    for (let n = 2; taken.has(name); n++) name = `${clean}-${n}`;
    taken.add(name);
    return nodeName(name);
  };
  return [
    ...urls.map(
      (url, index) => ({ name: unique(index === 0 ? "hub" : databaseName(url)), type: "postgres", url, capture: "trigger" }) as const,
    ),
    ...files.map((file) => ({ name: unique(basename(file).replace(/\.[^.]+$/, "")), type: "sqlite", path: resolve(file) }) as const),
  ];
}

function databaseName(url: string): string {
  return URL.canParse(url) ? decodeURIComponent(new URL(url).pathname.slice(1)) || "replica" : "replica";
}

async function inspect(context: CommandContext, configs: readonly TopologyNode[]): Promise<readonly Found[]> {
  return withNodes(context, configs, (nodes) =>
    Promise.all(
      configs.map(async (config) => ({
        config,
        variable: config.type === "postgres" ? `${config.name.toUpperCase().replaceAll("-", "_")}_URL` : null,
        url: config.type === "postgres" ? config.url : null,
        shapes: await reachedNode(nodes, config.name).installation.inspect(),
      })),
    ),
  );
}

async function write(out: string, content: string): Promise<void> {
  try {
    await writeFile(out, content, { flag: "wx" });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "EEXIST") {
      throw new TomboloError(`${out} is already there`, {
        code: "FILE_EXISTS",
        kind: "usage",
        hint: "Give another name with --out.",
        cause,
      });
    }
    throw new TomboloError(`${out} cannot be written (${code})`, {
      code: "FILE_NOT_WRITABLE",
      kind: "usage",
      hint: "Give another place with --out.",
      cause,
    });
  }
}

/** What was written must be a valid topology once its variables are set. */
async function check(context: CommandContext, out: string, found: readonly Found[]): Promise<void> {
  const variables = Object.fromEntries(found.flatMap(({ variable, url }) => (variable === null || url === null ? [] : [[variable, url]])));
  const loaded = await loadTopology(out, { ...context.env, ...variables });
  if ("problems" in loaded) for (const { line, code, message } of loaded.problems) context.out.note(`${out}:${line}: ${code}: ${message}`);
}

function relativePath(folder: string, path: string): string {
  const short = relative(folder, path);
  return short.startsWith("..") ? path : `./${short}`;
}
