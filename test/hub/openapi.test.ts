import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { productVersion } from "../../replicator/lifecycle/product-version.ts";
import { openHub, type TestHub } from "../helpers/hub.ts";

const FILE = new URL("../../docs/openapi.json", import.meta.url).pathname;

// biome-ignore lint/suspicious/noExplicitAny: a document of many shapes, each looked at below
type Json = any;

let hub: TestHub;
let served: Json;
beforeAll(async () => {
  hub = await openHub({ version: productVersion() });
  served = await (await fetch(`${hub.url}/openapi.json`)).json();
});
afterAll(() => hub.close());

const document = (): Json => structuredClone(served);
const operations = (): { path: string; method: string; operation: Json }[] =>
  Object.entries<Json>(document().paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test("docs/openapi.json is what the service answers at /openapi.json (`npm run docs` writes it)", async () => {
  await expect(`${JSON.stringify(served, null, 2)}\n`).toMatchFileSnapshot(FILE);
});

describe("the document", () => {
  test("is OpenAPI 3.1 with an id of its own, a summary and a tag for every operation", () => {
    const { openapi, info, tags } = document();
    expect(openapi).toBe("3.1.0");
    expect(info).toMatchObject({ title: "Tombolo hub", version: expect.any(String) });
    const known = tags.map(({ name }: { name: string }) => name);
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations()) {
      expect(operation.summary, operation.operationId).toEqual(expect.any(String));
      for (const tag of operation.tags) expect(known).toContain(tag);
    }
  });

  test("says of every operation who may call it, and how it fails", () => {
    for (const { operation } of operations()) {
      const roles = operation["x-roles"];
      expect(operation.security, operation.operationId).toEqual(roles === undefined ? [] : [{ token: [] }]);
      expect(operation.responses.default).toEqual({ $ref: "#/components/responses/Problem" });
      expect(
        Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status)),
        operation.operationId,
      ).toBe(true);
    }
  });

  test("names every parameter of a path, and refers to nothing that is not there", () => {
    for (const { path, operation } of operations()) {
      const inPath = (operation.parameters ?? []).filter((each: Json) => each.in === "path").map((each: Json) => each.name);
      expect(inPath.sort(), path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort());
    }
    const whole = document();
    for (const [, pointer = ""] of JSON.stringify(whole).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      expect(
        pointer.split("/").reduce((at: Json, key) => at?.[key], whole),
        pointer,
      ).toBeDefined();
    }
  });

  test("holds schemas that are JSON Schema 2020-12, as OpenAPI 3.1 wants them", () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const schemas: Json[] = [];
    const visit = (value: Json): void => {
      if (typeof value !== "object" || value === null) return;
      if ("schema" in value && typeof value.schema === "object") schemas.push(value.schema);
      for (const each of Object.values(value)) visit(each);
    };
    visit(document());
    expect(schemas.length).toBeGreaterThan(10);
    for (const schema of schemas) expect(() => ajv.compile(schema)).not.toThrow();
    expect(JSON.stringify(schemas)).not.toContain('"nullable"');
  });
});
