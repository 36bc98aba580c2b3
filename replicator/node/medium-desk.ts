import type { NodeName } from "../change/names.ts";

/** What a node remembers of files that travel between it and a peer, as JSON text; what it says is the business of who writes it. */
export interface MediumDesk {
  /** Null before the first. */
  read(peer: NodeName): Promise<string | null>;
  /** Puts `after` in the place of `before`; false, with nothing done, where it is not that any more: someone else was faster. Durable before it returns. */
  replace(peer: NodeName, before: string | null, after: string): Promise<boolean>;
  /** What the peer last said of itself, in whichever way; null before the first, and for a peer that is reached directly. */
  told(peer: NodeName): Promise<string | null>;
  /** Durable before it returns. Does nothing for a stranger. */
  noteTold(peer: NodeName, report: string): Promise<void>;
  /** The files that travelled belong to an earlier life of this node. */
  forget(peer: NodeName): Promise<void>;
}
