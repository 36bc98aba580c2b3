import { userInfo } from "node:os";
import { optionInvalid } from "./option-values.ts";
import { text, type VerbInput } from "./verb.ts";

/** Who decides, for the history and the audit table: `--by`, or the user of the operating system. */
export function whoOf(input: VerbInput): string {
  const given = text(input, "by");
  if (given === "") throw optionInvalid("--by is empty", "Give a name.");
  if (given !== undefined) return given;
  try {
    return userInfo().username;
  } catch {
    // a user without an entry in the system's list
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
