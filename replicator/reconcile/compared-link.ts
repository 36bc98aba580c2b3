import type { Change } from "../change/change.ts";
import type { TableName } from "../change/names.ts";
import type { ReadRequest } from "../node/change-log.ts";
import type { CompareHolds } from "../node/compare-holds.ts";
import type { DigestSnapshot, Digests, DigestTable, KeyText } from "../node/digest.ts";
import type { Installation } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { ParkedFilter, ParkedRecord } from "../node/parked-desk.ts";
import type { ReconcileDesk } from "../node/reconcile-desk.ts";
import type { Repairs } from "../node/repairs.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** News of a log that are looked for: a log behind HTTP tells only of `wanted`, and of truncates. */
export type NewsRequest = ReadRequest & { readonly wanted: ReadonlyMap<TableName, ReadonlySet<KeyText>> };

/** The parent of a comparison: a database, or a hub behind HTTP. */
export interface ComparedParent extends Pick<Node, "name" | "engine"> {
  readonly digests: Pick<Digests, "normalised"> & {
    /** `keys`: by table, those whose rows will be asked for; all at this cut. */
    open(tables: readonly DigestTable[], keys?: readonly (readonly KeyText[])[]): Promise<DigestSnapshot>;
  };
  readonly log: { read(request: NewsRequest): AsyncIterable<readonly Pick<Change, "table" | "op" | "key">[]> };
  readonly parked: { list(filter: ParkedFilter): Promise<readonly Pick<ParkedRecord, "op" | "key">[]> };
  readonly repairs: Pick<Repairs, "overrule" | "record" | "lastChanged">;
  readonly installation: Pick<Installation, "identity">;
  readonly reconciles: Pick<ReconcileDesk, "begin" | "finish">;
  readonly compareHolds: Pick<CompareHolds, "begin" | "compared">;
}

/** A link whose two ends are compared. */
export interface ComparedLink {
  readonly parent: ComparedParent;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
}

/** One whose parent this process has opened. */
export interface DirectLink extends ComparedLink {
  readonly parent: Node;
}
