import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { type FullSyncResult, fullSync } from "../../replicator/full-sync/full-sync.ts";
import type { FullSyncOptions, FullSyncWatcher } from "../../replicator/full-sync/options.ts";
import type { Node } from "../../replicator/node/node.ts";
import { type TestTable, testTopology } from "./nodes.ts";

const modules = createModuleRunner();

export const agreeing: FullSyncWatcher = { progress() {}, note() {}, goAhead: async () => true };

/** A full sync over the link that `testLink` makes of the same arguments. */
export function syncFully(
  parent: Node,
  child: Node,
  tables: readonly TestTable[],
  options: Partial<Omit<FullSyncOptions, "parent" | "child" | "topology" | "link">> & {
    readonly link?: Parameters<typeof testTopology>[3];
  } = {},
): Promise<FullSyncResult> {
  const { topology, link } = testTopology(parent, child, tables, options.link);
  return fullSync({
    direction: "pull",
    tables: null,
    resume: false,
    verify: false,
    backUp: false,
    watcher: agreeing,
    signal: new AbortController().signal,
    ...options,
    modules,
    parent,
    child,
    topology,
    link,
  });
}
