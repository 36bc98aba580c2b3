import { topologySchema } from "../topology/json-schema.ts";
import { EXIT } from "./exit-codes.ts";
import type { RunVerb } from "./verb.ts";

export const schema: RunVerb = async ({ out }) => {
  out.json(topologySchema());
  return EXIT.done;
};
