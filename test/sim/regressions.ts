import type { Plan } from "./plan.ts";

/** Plans that the product once failed, as the simulation had shrunk them. A failing run prints its own as the counterexample: put it here, with a name that says what went wrong. */
export const REGRESSIONS: { readonly [name: string]: Plan } = {};
