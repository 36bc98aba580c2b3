import type { Clash } from "../change/verdict.ts";

/** Who wins what is contested, and why in one sentence. It goes into the conflict history: names and times, never values. */
export interface Decision {
  readonly winner: "parent" | "child";
  readonly reason: string;
}

/** Pure: looks at nothing but the clash. */
export type Decide = (clash: Clash) => Decision;
