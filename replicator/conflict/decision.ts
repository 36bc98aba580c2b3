import type { Clash } from "../change/verdict.ts";

/** Who wins what is contested, and why in one sentence. It goes into the conflict history: names and times, never values. */
export interface Decision {
  /** `open`: nobody yet; the parent's row stays until a person decides. */
  readonly winner: "parent" | "child" | "open";
  readonly reason: string;
}

/** Pure: looks at nothing but the clash. */
export type Decide = (clash: Clash) => Decision;
