import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { LeaseHolder, Shares } from "./lease.ts";
import { directLinks, linkName } from "./tree.ts";

/** Links that one process replicates together, and its name among the shares. */
export interface Portion {
  readonly name: string;
  readonly links: readonly TopologyLink[];
}

/** What is done once for the whole topology: the hub is watched, old history goes. Whoever does it leads. */
export const HOUSEKEEPING = "housekeeping";

/**
 * What can be shared out. A link by itself; but a node that captures from a slot is read by one process only, as the slot is, so that all its links
 * go together.
 */
export function portionsOf(topology: Topology): readonly Portion[] {
  const portions = known.get(topology) ?? grouped(topology);
  known.set(topology, portions);
  return portions;
}

/** It is asked for again and again, for every node that is looked at. */
const known = new WeakMap<Topology, readonly Portion[]>();

function grouped(topology: Topology): readonly Portion[] {
  const slots = new Set<string>(topology.nodes.flatMap((node) => (node.type === "postgres" && node.capture === "slot" ? [node.name] : [])));
  const portions: TopologyLink[][] = [];
  for (const link of directLinks(topology)) {
    const shared = [link.parent, link.child].filter((name) => slots.has(name));
    const joined = portions.filter((links) => links.some(({ parent, child }) => shared.includes(parent) || shared.includes(child)));
    for (const links of joined) portions.splice(portions.indexOf(links), 1);
    portions.push([...joined.flat(), link]);
  }
  return portions.map((links) => ({ name: links.map(linkName).sort()[0] ?? "", links }));
}

/** What this process holds of a topology that several may run, and how it comes to its part: as many portions as there are for each. */
export class ShareOut {
  #shares: Shares;
  readonly #held = new Set<string>();
  #holder: LeaseHolder | null = null;

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  get held(): ReadonlySet<string> {
    return this.#held;
  }

  /** Who has what this process could not get, as of the last look; null where it got its part. */
  get holder(): LeaseHolder | null {
    return this.#holder;
  }

  /**
   * One step towards an even share: gives up what is too much, once `stop` has stopped it, or takes what is free. What it holds changes only
   * here. Throws what the hub throws.
   */
  async balance(portions: readonly Portion[], stop: (leaving: ReadonlySet<string>) => Promise<void>): Promise<void> {
    const wanted = portions.map(({ name }) => name);
    const fair = Math.ceil(wanted.length / (await this.#shares.members()));
    const mine = wanted.filter((name) => this.#held.has(name));
    const gone = [...this.#held].filter((name) => name !== HOUSEKEEPING && !wanted.includes(name));
    await this.#leave([...gone, ...mine.slice(fair)], stop);
    this.#holder = null;
    for (const name of [HOUSEKEEPING, ...wanted]) {
      if (this.#held.has(name)) continue;
      if (name !== HOUSEKEEPING && this.#portions >= fair) break;
      const answer = await this.#shares.claim(name);
      if (answer === true) this.#held.add(name);
      else this.#holder = answer;
    }
  }

  /** After the session was lost: takes again what nobody else has taken meanwhile; the rest is stopped. */
  async renew(shares: Shares, stop: (leaving: ReadonlySet<string>) => Promise<void>): Promise<void> {
    this.#shares = shares;
    const lost: string[] = [];
    for (const name of this.#held) if ((await shares.claim(name)) !== true) lost.push(name);
    for (const name of lost) this.#held.delete(name);
    if (lost.length > 0) await stop(new Set(lost));
  }

  get #portions(): number {
    return this.#held.size - (this.#held.has(HOUSEKEEPING) ? 1 : 0);
  }

  async #leave(names: readonly string[], stop: (leaving: ReadonlySet<string>) => Promise<void>): Promise<void> {
    if (names.length === 0) return;
    for (const name of names) this.#held.delete(name);
    await stop(new Set(names));
    for (const name of names) await this.#shares.yield(name);
  }
}
