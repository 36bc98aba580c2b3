import type { KeyObject } from "node:crypto";
import type { PacketHeader } from "../change/packet.ts";
import type { LinkEnd } from "../link/link-end.ts";
import type { Manifest } from "../link/manifest.ts";
import { type Report, reportJson } from "../link/report.ts";
import { again, BEGINNING, type MediumState, written } from "./medium-state.ts";
import { delayOf, endOf, lastHeard, otherOf, remember, reportOf, type TravelOptions, type Word } from "./traveller.ts";
import { MediumWriter } from "./write-medium.ts";

export interface ExportOptions extends TravelOptions {
  readonly file: string;
  readonly key: KeyObject;
  /** Null leaves it readable to whoever finds it. */
  readonly passphrase: string | null;
  /** What was exported since the other side last spoke counts as lost. */
  readonly again: boolean;
  /** For an edge of a group, which has no topology of its own: what it has to know of the hub's. */
  readonly manifest?: Manifest;
}

export interface Exported {
  readonly number: number;
  readonly packets: number;
  readonly changes: number;
  /** The other side has not been heard of: this medium only tells it where this node is. */
  readonly isGreeting: boolean;
}

/**
 * Writes a medium for the other end of a link: where this node is, which is the receipt for the other's media, and the changes that the other does not have yet.
 * Nothing of it counts as received before the other says so with a medium of its own; until then the log keeps it.
 */
export async function exportMedium(options: ExportOptions): Promise<Exported> {
  const { node, file, key, passphrase, now, manifest } = options;
  const other = otherOf(options);
  const remembered = await remember(node, other);
  const state = options.again ? again(remembered.state) : remembered.state;
  const last = state.chain.at(-1) ?? BEGINNING;
  const number = last.number + 1;
  const end = endOf(options);
  const report = await end.report();
  const head = { source: node.name, target: other, number, previous: last.digest, made_at: new Date(now()).toISOString() };
  const writer = await MediumWriter.create({ file, head, key, passphrase });
  try {
    const taken = { number: state.taken.number, digest: state.taken.digest };
    await writer.json("R", { report: reportJson(report), taken, ...(manifest && { topology: manifest }) } satisfies Word);
    const told = await lastHeard(node, other, state);
    const sent = told === null ? null : await send(end, writer, { state, report, told });
    const digest = await writer.seal();
    const packet = sent === null ? last.packet : sent.after.state.number.toString();
    // before it can be found under its name: a medium that nobody remembers could be taken, and its answer not be understood
    await remembered.replace(written(state, { number, digest, packet }, sent === null ? null : reportJson(sent.after)));
    await writer.publish();
    return { number, packets: sent?.packets ?? 0, changes: sent?.changes ?? 0, isGreeting: sent === null };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

interface Sent {
  readonly packets: number;
  readonly changes: number;
  /** The other's word, with where it is once it has taken this. */
  readonly after: Report;
}

async function send(
  end: LinkEnd,
  writer: MediumWriter,
  { state, report, told }: { readonly state: MediumState; readonly report: Report; readonly told: Report },
): Promise<Sent> {
  const heard = await end.hear(told, { delayMs: delayOf(told, report.clockMs) });
  // what came over HTTP meanwhile may not be what is on the media that are on their way: only what the other said is certain
  const isOnMediaOnly = state.heard !== null && reportOf(state.heard).state.number === told.state.number;
  const assumed = state.assumed === null || !isOnMediaOnly ? heard.state : reportOf(state.assumed).state;
  let packets = 0;
  const carrier = {
    start: ({ channel, tables, at }: { channel: string; tables: readonly string[]; at: bigint }) =>
      writer.json("S", { channel, tables, at: at.toString() }),
    async packet({ number }: PacketHeader, bytes: AsyncIterable<Uint8Array>) {
      packets += 1;
      await writer.packet(number, bytes);
    },
  };
  if (report.state.paused) return { packets, changes: 0, after: { ...told, state: assumed } };
  const sender = await end.sender(heard, carrier, { assumed });
  const { changes } = await sender.pass({ final: true });
  return { packets, changes, after: { ...told, state: sender.assumed } };
}
