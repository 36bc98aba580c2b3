import { z } from "zod";
import { digestText } from "./format.ts";

/** A medium that was written, or taken: its number, its digest, and the last packet that the target has when it has taken it. */
const stop = z.strictObject({
  number: z.int().min(0),
  digest: z.union([digestText, z.literal("")]),
  packet: z.string().regex(/^\d{1,19}$/),
});
export type Stop = z.output<typeof stop>;

export const BEGINNING: Stop = { number: 0, digest: "", packet: "0" };

/**
 * What a node remembers of the media between it and one peer.
 *
 * Media that it writes make a chain; the peer says with its own media how far along it is. What a medium holds is counted as received only
 * then: until then the log keeps it, and it can be written again.
 */
export const mediumStateSchema = z.strictObject({
  /** The last that the peer has said it took, then those written since, each going on from the one before. */
  chain: z.array(stop).min(1),
  /** Written once and left behind, as when they were thought lost: the peer may have one of them all the same. */
  left: z.array(stop),
  /** The last that was taken from the peer. */
  taken: stop,
  /** What the peer last said of itself (a report as JSON); null before the first. */
  heard: z.unknown(),
  /** Where the peer is once it has taken all of the chain, in the same form; null where that is what it said. */
  assumed: z.unknown(),
});
export type MediumState = z.output<typeof mediumStateSchema>;

export const NEW_STATE: MediumState = { chain: [BEGINNING], left: [], taken: BEGINNING, heard: null, assumed: null };

/** So many that were left behind are remembered. */
const MOST_LEFT = 100;

/** A medium was written. */
export function written(state: MediumState, made: Stop, assumed: unknown): MediumState {
  return { ...state, chain: [...state.chain, made], assumed };
}

/** What was written since the peer last spoke counts as lost: the next medium goes on from there. */
export function again(state: MediumState): MediumState {
  const [confirmed = BEGINNING, ...lost] = state.chain;
  return { ...state, chain: [confirmed], left: remembered([...state.left, ...lost]), assumed: null };
}

/**
 * The peer has said where it is: which medium it took last, and which packet it applied last. Null where it names one that was never written
 * here; unchanged where it is an older word of the peer than the last. Where it did not get as far as the medium should have brought it, or
 * took one that was left behind, the chain begins anew from where it is.
 */
export function confirmed(state: MediumState, said: Stop, heard: unknown): MediumState | null {
  const [last = BEGINNING] = state.chain;
  if (state.heard !== null && (said.number < last.number || BigInt(said.packet) < BigInt(last.packet))) return state;
  const at = state.chain.findIndex((each) => each.number === said.number && each.digest === said.digest);
  if (at < 0) {
    const known = state.left.some((each) => each.number === said.number && each.digest === said.digest);
    if (!known) return null;
    return { ...state, chain: [said], left: remembered([...state.left, ...state.chain.slice(1)]), heard, assumed: null };
  }
  const rest = state.chain.slice(at + 1);
  const isWhole = BigInt(said.packet) >= BigInt(state.chain[at]?.packet ?? "0");
  if (rest.length === 0 || !isWhole) return { ...state, chain: [said], left: remembered([...state.left, ...rest]), heard, assumed: null };
  return { ...state, chain: [said, ...rest], heard };
}

/** A medium of the peer was taken. */
export const took = (state: MediumState, taken: Stop): MediumState => ({ ...state, taken });

/** What a medium of the peer is to this node. */
export type Place = "next" | "taken" | "old" | "ahead" | "fork";

export function placeOf(
  { taken }: MediumState,
  made: { readonly number: number; readonly previous: string; readonly digest: string },
): Place {
  if (made.number === taken.number && made.digest === taken.digest) return "taken";
  if (made.number <= taken.number) return "old";
  if (made.number > taken.number + 1) return "ahead";
  return made.previous === taken.digest ? "next" : "fork";
}

const remembered = (stops: readonly Stop[]): Stop[] => stops.slice(-MOST_LEFT);
