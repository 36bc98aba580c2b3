import type { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { KeyText } from "../node/digest.ts";
import type { ComparedTable } from "./compared-tables.ts";

/** How a row differs. */
export type DifferenceKind = "differs" | "only_parent" | "only_child";

export interface Difference {
  readonly key: KeyText;
  readonly kind: DifferenceKind;
}

/** What has become of rows that looked different. */
export interface Settled {
  readonly differences: readonly Difference[];
  /** Rows that differ while news of them are under way: neither equal nor different as yet. */
  readonly unsettled: number;
  /** Rows that differ because one node has set a change of them aside, or has asked the other for them. */
  readonly parked: number;
  /** Both of these. */
  readonly undecided: readonly KeyText[];
}

export const NOTHING_DIFFERS: Settled = { differences: [], unsettled: 0, parked: 0, undecided: [] };

export interface TableComparison extends Settled {
  readonly table: ComparedTable;
  /** Rows of the side that has more. */
  readonly compared: number;
  /** More rows looked different than are followed up: the others were not looked at. */
  readonly isPartial: boolean;
}

/** Why a table was not compared. */
export interface NotCompared {
  readonly name: TableName;
  readonly error: TomboloError;
}
