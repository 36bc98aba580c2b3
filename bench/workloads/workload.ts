import type { Session } from "../session.ts";

/** Figures of one run of a workload, by name; see `report/figures.ts` for units. */
export type Figures = { readonly [figure: string]: number };

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** Takes long and varies little: measured in the last round only. */
  readonly once?: boolean;
  run(session: Session): Promise<Figures>;
}
