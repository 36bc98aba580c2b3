import { apply } from "./apply.ts";
import { doctor } from "./doctor.ts";
import { init } from "./init.ts";
import { nodesList, nodesPause, nodesResume } from "./nodes.ts";
import { plan } from "./plan.ts";
import { run } from "./run.ts";
import { schema } from "./schema.ts";
import { status } from "./status.ts";
import { sync } from "./sync.ts";
import { uninstall } from "./uninstall.ts";
import { validate } from "./validate.ts";
import type { Verb } from "./verb.ts";

/** In the order of the help: from setting up to daily work. */
export const verbs: readonly Verb[] = [
  init,
  validate,
  schema,
  plan,
  apply,
  run,
  sync,
  status,
  doctor,
  nodesList,
  nodesPause,
  nodesResume,
  uninstall,
];
