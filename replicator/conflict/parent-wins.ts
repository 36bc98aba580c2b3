import type { Decide } from "./decision.ts";

export const parentWins: Decide = () => ({ winner: "parent", reason: "The parent's change stands." });
