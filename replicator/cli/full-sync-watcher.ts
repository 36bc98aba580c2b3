import type { FullSyncWatcher } from "../full-sync/options.ts";
import type { SyncProgress } from "../full-sync/progress.ts";
import type { TableDifference } from "../node/full-copy.ts";
import { confirm } from "./ask.ts";
import { bytes, duration, type Output, plural } from "./output.ts";

const EVERY_MS = 2_000;

/** Tells of a full sync on standard error: a line that is written over on a terminal, one now and then elsewhere. */
export function fullSyncWatcher(out: Output, options: { readonly ask: boolean }): FullSyncWatcher & { end(): void } {
  const onTerminal = process.stderr.isTTY === true;
  let shown = { phase: "", at: Number.NEGATIVE_INFINITY };
  let open = false;
  const end = (): void => {
    if (open) process.stderr.write("\n");
    open = false;
  };
  const note = (text: string): void => {
    end();
    out.note(text);
  };
  return {
    end,
    note,
    progress(progress) {
      const isNew = progress.phase !== shown.phase;
      const at = performance.now();
      if (!isNew && at - shown.at < (onTerminal ? 200 : EVERY_MS)) return;
      shown = { phase: progress.phase, at };
      if (!onTerminal) {
        out.note(progressText(progress));
        return;
      }
      if (isNew) end();
      process.stderr.write(`\r\u001B[K${progressText(progress)}`);
      open = true;
    },
    async goAhead(differences) {
      for (const line of differenceLines(differences)) note(line);
      const harmless = differences.every(({ changed, removed }) => changed + removed === 0);
      return !options.ask || harmless || confirm("Go on?");
    },
  };
}

const PHASES: { readonly [phase in SyncProgress["phase"]]: string } = {
  prepare: "preparing",
  copy: "copying",
  apply: "comparing with what is there",
  hand_over: "handing over",
  verify: "comparing both sides",
};

export function progressText({ phase, rows, bytes: size, estimatedRows, rate, secondsLeft }: SyncProgress): string {
  // rows that go straight into empty tables are known once all are there
  if (phase === "hand_over" && rows === 0 && size > 0) return `filling the tables: ${bytes(size)}, about ${estimatedRows} rows in all`;
  if (phase !== "copy") return PHASES[phase];
  const share = estimatedRows > 0 ? ` of about ${estimatedRows}` : "";
  const left = secondsLeft === null ? "" : `, ${duration(secondsLeft)} left`;
  return `${PHASES.copy}: ${rows}${share} rows, ${bytes(size)}${rate > 0 ? `, ${rate} rows/s` : ""}${left}`;
}

function differenceLines(differences: readonly TableDifference[]): string[] {
  return differences
    .filter(({ added, changed, removed }) => added + changed + removed > 0)
    .map(({ table, added, changed, removed, kept }) => {
      const stays = kept === 0 ? "" : `; ${plural(kept, "row")} with changes of its own stay`;
      return `${table}: ${added} to add, ${changed} to change, ${removed} to remove${stays}`;
    });
}
