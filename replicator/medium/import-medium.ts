import { TomboloError } from "../change/error.ts";
import { channelName, position, tableName } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import type { Admitted, LinkEnd } from "../link/link-end.ts";
import type { TableStart } from "../link/relay.ts";
import type { Report } from "../link/report.ts";
import { startSchema } from "./format.ts";
import { answerNeeded, damaged, forked } from "./medium-errors.ts";
import { confirmed, type Stop, took } from "./medium-state.ts";
import type { MediumReader, MediumRecord } from "./read-medium.ts";
import { delayOf, endOf, lastHeard, otherOf, remember, reportOf, type TravelOptions, type Word, wordSchema } from "./traveller.ts";

export interface ImportOptions extends TravelOptions {
  /** Verified, and the one that comes next. */
  readonly medium: MediumReader;
  readonly digest: string;
  readonly passphrase: string | null;
}

export interface Imported {
  readonly changes: number;
  readonly conflicts: number;
  readonly parked: number;
  /** Rows are wanted anew before what followed them can be taken: the other side has to hear of it. */
  readonly isPartial: boolean;
  /** What it brings has come another way meanwhile, over HTTP: it was passed over from there on, and the other side has to hear of it. */
  readonly isOvertaken: boolean;
}

/**
 * Takes a medium: what the other has said of itself first, then its packets, each in a transaction of its own. Those that are here already are passed
 * over, so that an import that was cut off is simply done again.
 */
export async function importMedium(options: ImportOptions): Promise<Imported> {
  const { node, medium, digest, passphrase } = options;
  const other = otherOf(options);
  const remembered = await remember(node, other);
  const end = endOf(options);
  const records = medium.records(passphrase);
  const { told, said, word } = await wordOf(medium, records);
  const state = confirmed(remembered.state, said, word);
  if (state === null) throw forked(medium.file, other);
  const mine = await end.report();
  const before = await lastHeard(node, other, remembered.state);
  // it may have been on its way while more was said over HTTP
  const isStale = before !== null && told.state.number < before.state.number;
  const heard = isStale ? await end.admit({ clockMs: null }) : await end.hear(told, { delayMs: delayOf(told, mine.clockMs) });
  const taken = await take(end, records, { heard, last: mine.state, file: medium.file, source: other });
  const retried = await end.retryParked(heard, { all: true });
  const { number: packet } = (await end.report()).state;
  await remembered.replace(took(state, { number: medium.head.number, digest, packet: packet.toString() }));
  return { ...taken, changes: taken.changes + retried };
}

/**
 * Of a medium that is not taken, because another came in its place, what it says of its sender counts all the same: without it two nodes that
 * have both written anew what they thought lost would pass over each other's media for ever. Answers whether it was news.
 */
export async function hearMedium(options: ImportOptions): Promise<boolean> {
  const { node, medium, passphrase } = options;
  const remembered = await remember(node, otherOf(options));
  const records = medium.records(passphrase);
  const { told, said, word } = await wordOf(medium, records);
  await records.return(undefined);
  const state = confirmed(remembered.state, said, word);
  if (state === null || state === remembered.state) return false;
  const before = await lastHeard(node, otherOf(options), remembered.state);
  if (before !== null && told.state.number < before.state.number) return false;
  await endOf(options).hear(told);
  await remembered.replace(state);
  return true;
}

/** What a medium says of its sender: its first record. */
async function wordOf(
  medium: MediumReader,
  records: AsyncGenerator<MediumRecord>,
): Promise<{ told: Report; said: Stop; word: unknown; topology: Word["topology"] }> {
  const first = (await records.next()).value as MediumRecord | undefined;
  const read = first?.kind === "R" ? wordSchema.safeParse(first.json) : null;
  if (read === null || !read.success) throw damaged(medium.file, "it does not say where its sender is");
  const { report, taken, topology } = read.data;
  const told = reportOf(report);
  return { told, said: { ...taken, packet: told.state.number.toString() }, word: report, topology };
}

/** What a medium for an edge says of the topology, after `verify`; undefined where it says nothing of it. */
export async function topologyOn(medium: MediumReader, passphrase: string | null): Promise<Word["topology"]> {
  const records = medium.records(passphrase);
  try {
    return (await wordOf(medium, records)).topology;
  } finally {
    await records.return(undefined);
  }
}

/** What goes on from elsewhere than where this node is. */
class Overtaken extends Error {}

async function take(
  end: LinkEnd,
  records: AsyncGenerator<MediumRecord>,
  from: {
    readonly heard: Admitted;
    readonly last: { readonly number: bigint; readonly digest: string };
    readonly file: string;
    readonly source: string;
  },
): Promise<Imported> {
  const total = { changes: 0, conflicts: 0, parked: 0, isPartial: false, isOvertaken: false };
  let { last } = from;
  let starts: TableStart[] = [];
  const started = async (): Promise<void> => {
    for (const start of starts) await end.start(start);
    starts = [];
  };
  const expected = ({ number, previous }: PacketHeader): void => {
    if (number > last.number && previous !== last.digest) throw new Overtaken();
  };
  for await (const record of records) {
    if (record.kind === "S") {
      const { channel, tables, at } = startSchema.parse(record.json);
      starts.push({ channel: channelName(channel), tables: tables.map(tableName), at: position(at) });
    }
    // what came with an earlier medium, or an import that was cut off, is passed over
    if (record.kind !== "P" || record.number < last.number) continue;
    if (record.number > last.number + 1n) throw answerNeeded(from.file, from.source);
    try {
      // before the packet that needs it, and not before it is known to go on from here
      const beginning = async (header: PacketHeader): Promise<void> => {
        expected(header);
        await started();
      };
      for (const receipt of await end.receive(only(record.bytes), from.heard, { expected: beginning })) {
        count(total, receipt);
        last = receipt;
      }
    } catch (error) {
      if (!(error instanceof Overtaken) && !isOtherLast(error, record.number, last.number)) throw error;
      total.isOvertaken = true;
    }
    if (total.isPartial || total.isOvertaken) return total;
  }
  await started();
  return total;
}

/** The packet that this node has under that number is not the one on the medium. */
const isOtherLast = (error: unknown, number: bigint, last: bigint): boolean =>
  number === last && error instanceof TomboloError && error.code === "PACKET_FORK";

function count(total: { changes: number; conflicts: number; parked: number; isPartial: boolean }, receipt: Receipt): void {
  if (!receipt.duplicate) {
    total.changes += Object.values(receipt.applied).reduce((sum, more) => sum + more, 0);
    total.conflicts += receipt.conflicts.reduce((sum, conflict) => sum + conflict.count, 0);
    total.parked += receipt.parked;
  }
  if (receipt.wanted.length > 0) total.isPartial = true;
}

async function* only<T>(one: T): AsyncGenerator<T> {
  yield one;
}
