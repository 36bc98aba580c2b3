import type { Exported } from "../medium/export-medium.ts";
import type { MediumOutcome } from "../medium/import-media.ts";
import { type Output, plural } from "./output.ts";

/** What is said of media that were written and taken, at either end. */

export interface ExportedMedium {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly made: Exported;
  readonly encrypted: boolean;
}

export function tellExported({ json, out }: { readonly json: boolean; readonly out: Output }, told: ExportedMedium): void {
  const { file, from, to, made, encrypted } = told;
  const { number, packets, changes, isGreeting } = made;
  if (json) out.json({ file, from, to, number, packets, changes, encrypted });
  else {
    const what = isGreeting ? "only where this node is: nothing has been heard of the other yet" : plural(changes, "change");
    out.line(`${file}: medium ${number} from ${from} to ${to}, ${what}`);
  }
  if (!encrypted) out.note("it is signed, and not encrypted: whoever has it can read it");
}

/** What came of a file, for `--json`. */
export interface ImportReport {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly number: number;
  readonly taken: boolean;
  readonly changes: number;
  readonly conflicts: number;
  readonly parked: number;
  readonly partial: boolean;
  /** What it brings had come over HTTP before. */
  readonly overtaken: boolean;
}

export function importReport({ medium: { file, head }, taken }: MediumOutcome): ImportReport {
  const { changes = 0, conflicts = 0, parked = 0, isPartial = false, isOvertaken = false } = taken ?? {};
  const { source, target, number } = head;
  const what = { changes, conflicts, parked, partial: isPartial, overtaken: isOvertaken };
  return { file, from: source, to: target, number, taken: taken !== null, ...what };
}

export function printImported(out: Output, { medium, place, taken }: MediumOutcome): void {
  const { source, target, number } = medium.head;
  const what = `${medium.file}: medium ${number} from ${source} to ${target}`;
  if (taken === null) {
    out.line(`${what}: ${place === "taken" ? "was taken before" : "is older than what was taken"}, passed over`);
    return;
  }
  const counts = [
    plural(taken.changes, "change"),
    `${plural(taken.conflicts, "conflict")} resolved`,
    ...(taken.parked > 0 ? [`${taken.parked} parked`] : []),
  ];
  out.line(`${what}: ${counts.join(", ")}`);
  const answer = `export from ${target}, and import that at ${source}, or let them exchange over HTTP`;
  if (taken.isPartial) out.note(`${source} has to send rows again before the rest can be taken: ${answer}`);
  if (taken.isOvertaken)
    out.note(`something else came over HTTP since it was written; what is only on it comes once ${source} knows: ${answer}`);
}
