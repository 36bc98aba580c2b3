import type { Decide } from "./decision.ts";

export const childWins: Decide = () => ({ winner: "child", reason: "The child's change stands." });
