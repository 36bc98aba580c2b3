import type { Random } from "../../helpers/random.ts";
import type { World } from "./world.ts";

/** Begins; what it answers ends it later, when others have begun, and says what a person has to do once all faults are over. */
export type Fault = (world: World, random: Random) => Promise<Under>;
export interface Under {
  /** Repeatable: tried again where something else is in its way. */
  readonly end?: () => Promise<void>;
  readonly aftercare?: () => Promise<void>;
  /** Later still, when nobody writes any more. */
  readonly atRest?: () => Promise<void>;
}
