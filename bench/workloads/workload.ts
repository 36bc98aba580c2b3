import type { Session } from "../session.ts";
import type { Installed } from "../systems/system.ts";

/** Figures of one run of a workload, by name; see `report/figures.ts` for units. */
export type Figures = { readonly [figure: string]: number };

/** Where a workload says something, and who takes part, is in `plan.ts`. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  /** Takes long and varies little: measured in the last round only. */
  readonly once?: boolean;
  /** Whether a system as it is installed can do it at all; missing: every one can. */
  can?(installed: Installed): boolean;
  /** What must be there before; not part of what is measured. Ends when both ends are equal. */
  prepare?(session: Session): Promise<void>;
  run(session: Session): Promise<Figures>;
}
