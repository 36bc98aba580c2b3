import type { JsonSchema } from "./json-schema.ts";
import { DURATION, LISTEN, SIZE } from "./units.ts";

/** What docs/topology.md has around its generated part. */
const BEGIN = "<!-- begin: generated from replicator/topology/file-schema.ts by `npm run schema` -->";
const END = "<!-- end: generated -->";

/** A page with the reference between its marks made anew; throws when it has no marks. */
export function withReference(page: string, schema: JsonSchema): string {
  const start = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (start === -1 || end < start) throw new Error(`the page has lost its marks: ${BEGIN} … ${END}`);
  return `${page.slice(0, start)}${BEGIN}\n\n${topologyReference(schema)}\n\n${page.slice(end)}`;
}

/** The reference of every key, as Markdown: one table per map of the file, in the order of the schema. */
export function topologyReference(schema: JsonSchema): string {
  const sections: string[] = [];
  writeSection("The file", "", schema, sections);
  return sections.join("\n\n");
}

function writeSection(title: string, path: string, schema: JsonSchema, sections: string[]): void {
  const rows = Object.entries(schema.properties ?? {}).map(([key, value]) => {
    const cells = [`\`${key}\``, form(value), standard(value, schema.required?.includes(key) === true), about(value)];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  });
  const intro = path === "" ? [] : [schema.description ?? ""].filter((text) => text !== "");
  sections.push([`### ${title}`, ...intro, ["| key | takes | default | meaning |", "|---|---|---|---|", ...rows].join("\n")].join("\n\n"));
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    for (const { suffix, map } of mapsIn(value)) {
      const at = `${path}${path === "" ? "" : "."}${key}${suffix}`;
      writeSection(`\`${at}\`${kindOfNode(map)}`, at, map, sections);
    }
  }
}

/** The maps with named keys that a value may be or hold. */
function mapsIn(schema: JsonSchema): { suffix: string; map: JsonSchema }[] {
  if (schema.properties) return [{ suffix: "", map: schema }];
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(mapsIn);
  const items = schema.items ? mapsIn(schema.items).map(({ suffix, map }) => ({ suffix: `[]${suffix}`, map })) : [];
  return [...alternatives, ...items];
}

function kindOfNode(map: JsonSchema): string {
  const type = map.properties?.type?.const;
  return typeof type === "string" ? ` with \`type: ${type}\`` : "";
}

/** What a key takes, in words. */
function form(schema: JsonSchema): string {
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter((option) => option.pattern !== "\\$\\{");
  if (alternatives.length > 0) return [...new Set(alternatives.map(form))].join(" or ");
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (schema.type === "array") return `list of ${schema.items ? form(schema.items) : "values"}`;
  if (schema.type === "integer") return `whole number${range(schema)}`;
  if (schema.type === "number") return `number${range(schema)}`;
  if (schema.type === "object") return "map";
  return schema.type === "string" ? (FORMS[schema.pattern ?? ""] ?? "text") : (schema.type ?? "");
}

const FORMS: { readonly [pattern: string]: string } = { [DURATION.source]: "duration", [SIZE.source]: "size", [LISTEN.source]: "address" };

const range = (schema: JsonSchema): string =>
  schema.minimum === undefined ? "" : `, ${String(schema.minimum)} to ${String(schema.maximum)}`;

function standard(schema: JsonSchema, required: boolean): string {
  if (required) return "required";
  return schema.default === undefined || JSON.stringify(schema.default) === "[]" ? "" : `\`${String(schema.default)}\``;
}

function about(schema: JsonSchema): string {
  const examples = (schema.examples ?? []).map((example) => `\`${typeof example === "string" ? example : flow(example)}\``);
  const text = schema.description ?? "";
  return examples.length === 0 ? text : `${text} Example${examples.length > 1 ? "s" : ""}: ${examples.join(", ")}`;
}

/** An example as YAML would have it on one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${key}: ${flow(item)}`)
    .join(", ")} }`;
}
