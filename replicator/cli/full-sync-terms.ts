import { type TableName, tableName } from "../change/names.ts";
import type { FullSyncResult } from "../full-sync/full-sync.ts";
import { confirm } from "./ask.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { bytes, duration, plural } from "./output.ts";
import { type CommandContext, flag, text, type VerbInput } from "./verb.ts";

/** Asks, unless `--yes` has answered. */
export async function agreed(context: CommandContext, input: VerbInput, asked: string): Promise<boolean> {
  if (flag(input, "yes") || (await confirm(asked))) return true;
  context.out.note("nothing was changed");
  return false;
}

/** The tables of `--tables`; null for all. */
export function tablesOf(input: VerbInput): readonly TableName[] | null {
  const names = text(input, "tables");
  return names === undefined
    ? null
    : names
        .split(",")
        .map((name) => tableName(name.trim()))
        .filter((name) => name !== "");
}

/** What came of it, in a line. */
export function resultLine({
  source,
  target,
  state,
  rows,
  bytes: size,
  seconds,
  receipt,
  differences,
  unverified,
}: FullSyncResult): string {
  if (state === "cancelled" || receipt === null) return `${target}: nothing was changed`;
  const { insert, update, delete: gone } = receipt.applied;
  const parts = [
    `${plural(rows, "row")} copied from ${source} (${bytes(size)}) in ${duration(seconds)}`,
    `${insert} added, ${update} changed, ${gone} removed`,
  ];
  if (receipt.parked > 0) parts.push(`${receipt.parked} parked`);
  if (differences !== null) parts.push(differences === 0 ? "compared: equal" : `compared: ${plural(differences, "row")} differ`);
  if (unverified !== null) parts.push(`not compared: ${unverified.message} (${unverified.code})`);
  return `${target}: ${parts.join("; ")}`;
}

/** 3 where the comparison found differences, 1 where it was asked for and did not take place. */
export function resultExit({ state, differences, unverified }: Pick<FullSyncResult, "state" | "differences" | "unverified">): ExitCode {
  if (state === "cancelled" || unverified !== null) return EXIT.failed;
  return (differences ?? 0) > 0 ? EXIT.found : EXIT.done;
}
