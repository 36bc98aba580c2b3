import type { Draft, DraftGroup, DraftLink, DraftUse, Word } from "./draft.ts";
import { duplicates } from "./duplicates.ts";
import type { Fault } from "./source.ts";
import { didYouMean } from "./suggest.ts";

/** Nodes and links: names that exist, one tree, channels that reach every node they are wanted at, directions that fit together. */
export function checkTree(draft: Draft): Fault[] {
  const faults = [
    ...duplicates(draft.nodes, "DUPLICATE_NODE", "node"),
    ...duplicates(draft.channels, "DUPLICATE_CHANNEL", "channel"),
    ...duplicates(draft.groups, "DUPLICATE_GROUP", "group"),
    ...duplicates(draft.reconcile, "DUPLICATE_RECONCILE", "reconcile schedule"),
    ...unknownNames(draft),
    ...[...draft.links, ...draft.groups].flatMap((user) => repeatedChannels(user.channels)),
  ];
  const { parentLink, faults: linkFaults } = growTree(draft);
  faults.push(...linkFaults);
  // with a link that points nowhere or back, which node is left over is guesswork
  const complete =
    faults.every(({ code }) => code !== "UNKNOWN_NODE" && code !== "LINK_CYCLE") && draft.links.every((link) => link.parent && link.child);
  if (complete) faults.push(...lonelyNodes(draft, parentLink));
  const channels = new Set(draft.channels.map((channel) => channel.name?.text));
  for (const user of [...draft.links, ...draft.groups]) {
    const above = user.parent && parentLink.get(user.parent.text);
    if (above) faults.push(...passedDown(user, above, channels));
  }
  return faults;
}

function unknownNames(draft: Draft): Fault[] {
  const nodes = new Known("node", "nodes", "UNKNOWN_NODE", draft.nodes);
  const channels = new Known("channel", "channels", "UNKNOWN_CHANNEL", draft.channels);
  const faults: Fault[] = [];
  for (const link of draft.links) faults.push(...nodes.check(link.parent), ...nodes.check(link.child));
  for (const group of draft.groups) faults.push(...nodes.check(group.parent));
  for (const user of [...draft.links, ...draft.groups]) for (const use of user.channels) faults.push(...channels.check(use.channel));
  const links = new Set(draft.links.map((link) => `${link.parent?.text}/${link.child?.text}`));
  for (const word of draft.reconcile.flatMap((schedule) => schedule.links)) {
    if (links.has(word.text) || !word.text.includes("/")) continue;
    const hint = "Write PARENT/CHILD of a link in `links`.";
    faults.push({ ...word.place, code: "UNKNOWN_LINK", message: `There is no link ${word.shown}.`, hint });
  }
  return faults;
}

/** The names of one kind of thing. */
class Known {
  readonly #names: ReadonlySet<string>;
  readonly #offers: readonly string[];
  readonly #complete: boolean;
  readonly #what: string;
  readonly #key: string;
  readonly #code: string;

  constructor(what: string, key: string, code: string, things: readonly { readonly name: Word | undefined }[]) {
    const words = things.flatMap((thing) => thing.name ?? []);
    this.#names = new Set(words.map((word) => word.text));
    this.#offers = words.filter((word) => word.literal).map((word) => word.text);
    this.#complete = words.length === things.length;
    this.#what = what;
    this.#key = key;
    this.#code = code;
  }

  check(word: Word | undefined): Fault[] {
    // a thing whose name is unreadable may be the one that is meant
    if (word === undefined || this.#names.has(word.text) || !this.#complete) return [];
    const guess = word.literal ? didYouMean(word.text, this.#offers) : "";
    const hint = `${guess}Declare it in \`${this.#key}\`, or correct the name.`;
    return [{ ...word.place, code: this.#code, message: `There is no ${this.#what} ${word.shown}.`, hint }];
  }
}

function repeatedChannels(uses: readonly DraftUse[]): Fault[] {
  const seen = new Set<string>();
  return uses.flatMap(({ channel }) => {
    if (channel === undefined || !seen.has(channel.text)) {
      if (channel) seen.add(channel.text);
      return [];
    }
    const hint = "A channel travels once per link: keep one, with the direction that you want.";
    return [{ ...channel.place, code: "CHANNEL_TWICE", message: `The channel ${channel.shown} is here a second time.`, hint }];
  });
}

/** Adds the links in order; a link that would break the tree is reported and left out. Answers the link above each node. */
function growTree(draft: Draft): { parentLink: ReadonlyMap<string, DraftLink>; faults: Fault[] } {
  const parentLink = new Map<string, DraftLink>();
  const faults: Fault[] = [];
  for (const link of draft.links) {
    const { parent, child } = link;
    if (parent === undefined || child === undefined) continue;
    const fault = (code: string, message: string, hint: string): void => void faults.push({ ...child.place, code, message, hint });
    const earlier = parentLink.get(child.text);
    if (parent.text === child.text) {
      fault("SELF_LINK", `The link joins ${child.shown} to itself.`, "Name two different nodes.");
    } else if (earlier?.parent?.text === parent.text) {
      fault("LINK_TWICE", `The link from ${parent.shown} to ${child.shown} is here a second time.`, "Put all channels into one link.");
    } else if (earlier) {
      const message = `The node ${child.shown} has a second parent, ${parent.shown}; the first, ${earlier.parent?.shown}, is in line ${earlier.child?.place.line}.`;
      fault("TWO_PARENTS", message, "Links make a tree: keep one of the two.");
    } else if (isBelow(parent.text, child.text, parentLink)) {
      fault(
        "LINK_CYCLE",
        `The link closes a circle: ${parent.shown} is already below ${child.shown}.`,
        "Links make a tree with one hub at its top: remove one link of the circle.",
      );
    } else {
      parentLink.set(child.text, link);
    }
  }
  return { parentLink, faults };
}

function isBelow(node: string, above: string, parentLink: ReadonlyMap<string, DraftLink>): boolean {
  for (let at: string | undefined = node; at !== undefined; at = parentLink.get(at)?.parent?.text) if (at === above) return true;
  return false;
}

/** Nodes that no link names, and hubs beyond the first. */
function lonelyNodes(draft: Draft, parentLink: ReadonlyMap<string, DraftLink>): Fault[] {
  const parents = new Set([...draft.links, ...draft.groups].map((user) => user.parent?.text));
  const faults: Fault[] = [];
  let hub: Word | undefined;
  const seen = new Set<string>();
  for (const node of draft.nodes) {
    // the second of two nodes of one name has been reported
    if (node.name === undefined || seen.has(node.name.text.toLowerCase())) continue;
    seen.add(node.name.text.toLowerCase());
    if (parentLink.has(node.name.text)) continue;
    const place = node.name.place;
    if (!parents.has(node.name.text)) {
      const hint = "Add a link with it as parent or child, or remove the node.";
      faults.push({ ...place, code: "NODE_WITHOUT_LINK", message: `The node ${node.name.shown} is in no link.`, hint });
    } else if (hub) {
      const message = `The node ${node.name.shown} has no parent, nor has ${hub.shown} in line ${hub.place.line}: there are two trees.`;
      faults.push({ ...place, code: "TWO_HUBS", message, hint: "Add a link that makes one of them a child, or write two topologies." });
    } else {
      hub = node.name;
    }
  }
  return faults;
}

/** What a node passes on to its children it must get from its own parent, and what it takes from them it must be able to send up. */
function passedDown(user: DraftLink | DraftGroup, above: DraftLink, known: ReadonlySet<string | undefined>): Fault[] {
  const faults: Fault[] = [];
  for (const use of user.channels) {
    const channel = use.channel;
    if (channel === undefined || !known.has(channel.text) || above.channels.some((other) => other.channel === undefined)) continue;
    const aboveUse = above.channels.find((other) => other.channel?.text === channel.text);
    const parent = user.parent?.shown ?? "";
    if (aboveUse === undefined) {
      const message = `The channel ${channel.shown} does not reach ${parent}: it is not in the link between ${above.parent?.shown} and ${parent}.`;
      faults.push({
        ...channel.place,
        code: "CHANNEL_NOT_AT_PARENT",
        message,
        hint: `Add it to the link in line ${above.child?.place.line}, or remove it here.`,
      });
    } else if (aboveUse.direction === "down" && (use.direction === "up" || use.direction === "both")) {
      const message = `The channel ${channel.shown} comes up to ${parent} here, but only goes down between ${above.parent?.shown} and ${parent}: the changes would end there.`;
      const hint = `Make it \`down\` here, or \`both\` in the link in line ${above.child?.place.line}.`;
      faults.push({ ...channel.place, code: "DIRECTION_CONFLICT", message, hint });
    }
  }
  return faults;
}
