import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import { jsonSchemaTransform } from "fastify-type-provider-zod";
import type { OpenAPIV3_1 } from "openapi-types";
import { z } from "zod";
import type { Access } from "./access.ts";
import { PROBLEM_TYPE, problemSchema } from "./problem.ts";

/** How the routes become the document at /openapi.json, which is docs/openapi.json as well. */
export function openApi(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Tombolo hub",
        version,
        description:
          "What edges, operators and scripts may ask of a hub. Every answer that is no success is an `application/problem+json` with a stable `code`; docs/errors.md lists them. Numbers that may be large are strings.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      // where the hub is, is for its topology to say
      servers: [{ url: "/" }],
      tags: TAGS.map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: "A token of `tombolo tokens create`, or the one that an edge got when it enrolled.",
          },
        },
      },
    },
    transform(document) {
      const transformed = jsonSchemaTransform(document as Parameters<typeof jsonSchemaTransform>[0]);
      const { access } = document.route.config ?? {};
      return { url: transformed.url, schema: { ...transformed.schema, ...securityOf(access) } as never };
    },
    transformObject(document) {
      if (!("openapiObject" in document)) throw new Error("the document is no OpenAPI 3");
      return withProblems(document.openapiObject as OpenAPIV3_1.Document) as never;
    },
  };
}

const TAGS = [
  ["service", "The service itself."],
  ["edges", "Enrolling an edge and moving its data."],
  ["nodes", "Nodes, links and their states."],
  ["conflicts", "The conflict history and decisions."],
  ["parked changes", "Changes that were set aside."],
  ["rights", "Tokens, enrolment codes and the audit trail."],
  ["upkeep", "Runs, clean-up, notifications and metrics."],
] as const;

const securityOf = (access: Access | undefined): object => {
  if (access === undefined || access === "public") return { security: [] };
  return { security: [{ token: [] }], "x-roles": access };
};

/** Every operation may answer a problem; said once, and referred to. */
function withProblems(document: OpenAPIV3_1.Document): OpenAPIV3_1.Document {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as OpenAPIV3_1.OperationObject[]) {
      operation.responses = { ...operation.responses, default: { $ref: "#/components/responses/Problem" } };
    }
  }
  const { $schema: _, ...schema } = z.toJSONSchema(problemSchema, { target: "draft-2020-12", io: "output" });
  const problem = { description: "An error.", content: { [PROBLEM_TYPE.split(";")[0] as string]: { schema } } };
  return { ...document, components: { ...document.components, responses: { Problem: problem as OpenAPIV3_1.ResponseObject } } };
}
