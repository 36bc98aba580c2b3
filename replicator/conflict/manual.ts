import type { Decide } from "./decision.ts";

export const manual: Decide = () => ({ winner: "open", reason: "A person decides; the parent's row stays until then." });
