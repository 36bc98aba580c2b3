import { topologySchema } from "../topology/json-schema.ts";
import { EXIT } from "./exit-codes.ts";
import type { Verb } from "./verb.ts";

export const schema: Verb = {
  name: "schema",
  summary: "print the JSON Schema of the topology file, for editors",
  examples: ["tombolo schema > topology.schema.json"],
  async run({ out }) {
    out.json(topologySchema());
    return EXIT.done;
  },
};
