import type { TopologyFile } from "./file-schema.ts";
import { type Path, pathText, type Source } from "./source.ts";
import type { NotYet } from "./topology.ts";

/** What the file asks for that this version does not run yet. A later version that runs one of them removes its line here. */
export function notYet(file: TopologyFile, source: Source): NotYet[] {
  const found: NotYet[] = [];
  const add = (path: Path, what: string): void => {
    found.push({ path: pathText(path), ...source.keyPlace(path), message: `${what} not in this version yet.` });
  };
  for (const [i, node] of file.nodes.entries()) {
    if (node.type === "postgres" && node.capture === "slot") add(["nodes", i, "capture"], "Capture from a replication slot is");
  }
  for (const [i, channel] of file.channels.entries()) {
    for (const [j, table] of channel.tables.entries()) {
      if (typeof table === "string") continue;
      const path = ["channels", i, "tables", j];
      const policy = typeof table.conflict === "string" ? table.conflict : table.conflict.policy;
      if (policy === "merge" || policy === "manual" || policy === "module") add([...path, "conflict"], `The policy \`${policy}\` is`);
      if (table.exclude.length > 0) add([...path, "exclude"], "Columns that do not travel are");
      if (table.filter !== undefined) add([...path, "filter"], "Filters are");
      if (table.ids !== undefined) add([...path, "ids"], "Strides of ids are");
    }
  }
  if (file.groups.length > 0) add(["groups"], "Groups of edges are");
  if (file.reconcile.length > 0) add(["reconcile"], "Scheduled reconciles are");
  if (file.hub !== undefined) add(["hub"], "The hub's HTTP service is");
  if (file.ddl !== undefined) add(["ddl"], "Carrying over changed tables is");
  return found;
}
