import type { NodeName } from "../change/names.ts";

/** What a node remembers of files that travel between it and a peer, as JSON text; what it says is the business of who writes it. */
export interface MediumDesk {
  /** Null before the first. */
  read(peer: NodeName): Promise<string | null>;
  /** Puts `after` in the place of `before`; false, with nothing done, where it is not that any more: someone else was faster. Durable before it returns. */
  replace(peer: NodeName, before: string | null, after: string): Promise<boolean>;
}
