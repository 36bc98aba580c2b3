import { called, type Draft, type DraftNode, type DraftTable } from "./draft.ts";
import type { Fault, Source } from "./source.ts";

/** Strides of ids: every node that has the table needs a slot of its own, and a stride that has room for it. */
export function checkIds(draft: Draft, source: Source): Fault[] {
  return draft.channels.flatMap(({ name, tables }) => {
    // a stride of one has been reported
    const strided = tables.filter(({ stride }) => typeof stride === "number" && stride > 1);
    if (name === undefined || strided.length === 0) return [];
    const slots = slotsOf(draft, nodesWith(draft, name.text));
    return [...twice(slots, source), ...strided.flatMap((table) => tooSmall(table, slots, source))];
  });
}

interface Slot {
  readonly node: DraftNode;
  readonly slot: number;
}

function nodesWith(draft: Draft, channel: string): ReadonlySet<string> {
  const links = draft.links.filter((link) => link.channels.some((use) => use.channel?.text === channel));
  return new Set(links.flatMap(({ parent, child }) => [parent?.text ?? "", child?.text ?? ""]));
}

const slotsOf = (draft: Draft, names: ReadonlySet<string>): Slot[] =>
  draft.nodes.flatMap((node, place) => {
    const slot = node.idSlot === undefined ? place : node.idSlot;
    return slot === null || node.name === undefined || !names.has(node.name.text) ? [] : [{ node, slot }];
  });

function twice(slots: readonly Slot[], source: Source): Fault[] {
  const first = new Map<number, DraftNode>();
  return slots.flatMap(({ node, slot }) => {
    const earlier = first.get(slot);
    if (earlier === undefined) {
      first.set(slot, node);
      return [];
    }
    // the one of the two that says so
    const spoken = node.idSlot === undefined && earlier.idSlot !== undefined ? earlier : node;
    const place = spoken.idSlot === undefined ? source.place(spoken.path) : source.place([...spoken.path, "id_slot"]);
    const message = `The nodes ${called(earlier)} and ${called(node)} would both hand out the ids of slot ${slot}.`;
    const hint = "Give each an `id_slot` of its own; without one it is the node's place in `nodes`, the first being 0.";
    return [{ ...place, code: "ID_SLOT_TWICE", message, hint }];
  });
}

function tooSmall(table: DraftTable, slots: readonly Slot[], source: Source): Fault[] {
  const stride = table.stride as number;
  const highest = slots.reduce<Slot | undefined>((most, slot) => (most === undefined || slot.slot > most.slot ? slot : most), undefined);
  if (highest === undefined || highest.slot < stride) return [];
  const message = `The stride of ${called(table)} has room for the slots 0 to ${stride - 1}, and the node ${called(highest.node)} has ${highest.slot}.`;
  const hint = `Make it ${highest.slot + 1} or more, with room for nodes to come; or give the node a free \`id_slot\`.`;
  return [{ ...source.place([...table.path, "ids", "stride"]), code: "ID_STRIDE_TOO_SMALL", message, hint }];
}
