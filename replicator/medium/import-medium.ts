import { channelName, position, tableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { Heard, LinkEnd } from "../link/link-end.ts";
import type { Report } from "../link/report.ts";
import { startSchema } from "./format.ts";
import { answerNeeded, damaged, forked } from "./medium-errors.ts";
import { confirmed, type Stop, took } from "./medium-state.ts";
import type { MediumReader, MediumRecord } from "./read-medium.ts";
import { delayOf, endOf, otherOf, remember, reportOf, type TravelOptions, wordSchema } from "./traveller.ts";

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
  const heard = await end.hear(told, { delayMs: delayOf(told, mine.clockMs) });
  const taken = await take(end, records, { heard, last: mine.state.number, file: medium.file, source: other });
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
  await endOf(options).hear(told);
  await remembered.replace(state);
  return true;
}

/** What a medium says of its sender: its first record. */
async function wordOf(medium: MediumReader, records: AsyncGenerator<MediumRecord>): Promise<{ told: Report; said: Stop; word: unknown }> {
  const first = (await records.next()).value as MediumRecord | undefined;
  const read = first?.kind === "R" ? wordSchema.safeParse(first.json) : null;
  if (read === null || !read.success) throw damaged(medium.file, "it does not say where its sender is");
  const told = reportOf(read.data.report);
  return { told, said: { ...read.data.taken, packet: told.state.number.toString() }, word: read.data.report };
}

async function take(
  end: LinkEnd,
  records: AsyncGenerator<MediumRecord>,
  from: { readonly heard: Heard; readonly last: bigint; readonly file: string; readonly source: string },
): Promise<Imported> {
  const total = { changes: 0, conflicts: 0, parked: 0, isPartial: false };
  let { last } = from;
  for await (const record of records) {
    if (record.kind === "S") {
      const { channel, tables, at } = startSchema.parse(record.json);
      await end.start({ channel: channelName(channel), tables: tables.map(tableName), at: position(at) });
    }
    // what came with an earlier medium, or an import that was cut off, is passed over
    if (record.kind !== "P" || record.number < last) continue;
    if (record.number > last + 1n) throw answerNeeded(from.file, from.source);
    for (const receipt of await end.receive(only(record.bytes), from.heard)) count(total, receipt);
    last = record.number;
    if (total.isPartial) break;
  }
  return total;
}

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
