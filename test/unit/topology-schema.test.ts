import { readdirSync, readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse, parseDocument } from "yaml";
import { type JsonSchema, topologySchema } from "../../replicator/topology/json-schema.ts";
import { loadTopology } from "../../replicator/topology/load.ts";
import { withReference } from "../../replicator/topology/reference.ts";

// `npm run schema` runs this file with --update, which writes the two generated files
const CONFIG = new URL("../../config/", import.meta.url).pathname;
const EXAMPLES = `${CONFIG}examples/`;
const PAGE = new URL("../../docs/topology.md", import.meta.url).pathname;
const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml"));

const validate = new Ajv({ strict: true, strictTypes: false, allErrors: true }).compile(topologySchema());
const example = () => parseDocument(readFileSync(`${EXAMPLES}hub-replica-stores.yaml`, "utf8"));

describe("generated files", () => {
  test("config/topology.schema.json is what the checks use", async () => {
    await expect(`${JSON.stringify(topologySchema(), null, 2)}\n`).toMatchFileSnapshot(`${CONFIG}topology.schema.json`);
  });

  test("docs/topology.md tells of every key what the schema says", async () => {
    await expect(withReference(readFileSync(PAGE, "utf8"), topologySchema())).toMatchFileSnapshot(PAGE);
  });
});

test("docs/topology.md explains every code that a problem may have, and no other", () => {
  const folder = new URL("../../replicator/topology/", import.meta.url).pathname;
  const sources = readdirSync(folder).map((name) => readFileSync(folder + name, "utf8"));
  const codes = new Set(sources.flatMap((text) => [...text.matchAll(/"([A-Z]{3,}_[A-Z_]+)"/g)].map((match) => match[1])));
  for (const yamlCode of sources.join("\n").matchAll(/^ {2}([A-Z_]+): \[/gm)) codes.delete(yamlCode[1]);
  const explained = [...readFileSync(PAGE, "utf8").matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1]);
  expect(explained).toEqual([...codes].sort());
});

describe("JSON Schema", () => {
  test("describes every key, so that an editor can explain it", () => {
    const silent: string[] = [];
    const walk = (schema: JsonSchema, path: string): void => {
      for (const [key, value] of Object.entries(schema.properties ?? {})) {
        if (!value.description) silent.push(`${path}.${key}`);
        walk(value, `${path}.${key}`);
      }
      for (const inner of [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.items ? [schema.items] : [])]) walk(inner, path);
    };
    walk(topologySchema(), "");
    expect(silent).toEqual([]);
  });

  test.each(examples)("accepts %s", (name) => {
    expect(validate(parse(readFileSync(EXAMPLES + name, "utf8"))) ? null : validate.errors).toBeNull();
  });

  test.each<[string, (string | number)[], unknown]>([
    ["an unknown key", ["batch", "max_row"], 1],
    ["a missing key", ["links", 0, "channels"], undefined],
    ["a bad duration", ["batch", "max_wait"], "50 ms"],
    ["a bad size", ["batch", "max_bytes"], "4MB"],
    ["a number out of range", ["batch", "max_rows"], 0],
    ["a policy that there is not", ["channels", 0, "tables", 0, "conflict"], "newest"],
    ["a path in a Postgres node", ["nodes", 0, "path"], "./x.db"],
    ["a kind of node that there is not", ["nodes", 0, "type"], "mysql"],
  ])("refuses %s", (_what, path, value) => {
    const file = example();
    if (value === undefined) file.deleteIn(path);
    else file.setIn(path, value);
    expect(validate(file.toJS())).toBe(false);
  });

  test("takes a variable wherever a number, a choice or a form is wanted", () => {
    const file = example();
    file.set("batch", { max_rows: "${ROWS}", max_wait: "${WAIT:-50ms}", compression: "${COMPRESSION}" });
    file.set("retry", { jitter: "${JITTER}", factor: "${FACTOR}" });
    expect(validate(file.toJS()) ? null : validate.errors).toBeNull();
  });
});

test.each(examples)("%s loads without a variable set", async (name) => {
  const loaded = await loadTopology(EXAMPLES + name, {});
  expect(loaded).not.toHaveProperty("problems");
});
