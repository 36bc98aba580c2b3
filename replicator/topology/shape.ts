import type { z } from "zod";
import type { RuleParams } from "./fields.ts";
import { type TopologyFile, topologyFile } from "./file-schema.ts";
import { copyOf, setAt, valueAt } from "./plain-value.ts";
import { keysAt } from "./schema-keys.ts";
import { type Fault, type Path, pathText, type Source, UNUSABLE } from "./source.ts";
import { didYouMean } from "./suggest.ts";

type Issue = z.core.$ZodIssue;

/** Checks keys and types. `file` is there when nothing is wrong; a fault that reading already found is not reported twice. */
export function checkShape(source: Source): { file: TopologyFile | null; faults: Fault[] } {
  if (source.value === UNUSABLE) return { file: null, faults: [] };
  const { value, issues, file } = validate(source);
  const faults = issues.flatMap((issue) => (valueAt(value, issue.path as Path) === UNUSABLE ? [] : faultsOf(issue, value, source)));
  return { file, faults };
}

/**
 * A scalar that came from a variable is text, whatever it looks like; where the schema takes no text there, it is read as a
 * number or a boolean instead. Each round turns at least one such text, so the rounds end.
 */
function validate(source: Source): { value: unknown; issues: readonly Issue[]; file: TopologyFile | null } {
  // a copy, so that turning a text into a number leaves the source as it was read
  const value = copyOf(source.value);
  const turned = new Set<string>();
  for (;;) {
    const result = topologyFile.safeParse(value);
    if (result.success) return { value, issues: [], file: result.data };
    const issues = result.error.issues.flatMap(innermost);
    let again = false;
    for (const path of issues.map((issue) => issue.path as Path)) {
      if (!source.isInterpolated(path) || turned.has(pathText(path))) continue;
      const other = numberOrBoolean(valueAt(value, path));
      if (other === undefined) continue;
      turned.add(pathText(path));
      setAt(value, path, other);
      again = true;
    }
    if (!again) return { value, issues, file: null };
  }
}

/** In a union, the issues of the alternative that was meant: the one whose kind of value (text, list, map) is there. */
function innermost(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [issue];
  const alternatives = issue.errors.map((issues) => issues.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }) as Issue));
  const depth = issue.path.length;
  const meant = alternatives.find((issues) =>
    issues.every((inner) => inner.path.length > depth || inner.code === "unrecognized_keys" || inner.code === "custom"),
  );
  return meant === undefined ? [issue] : meant.flatMap(innermost);
}

function faultsOf(issue: Issue, root: unknown, source: Source): Fault[] {
  const path = issue.path as Path;
  const value = valueAt(root, path);
  const what = `\`${pathText(path)}\``;
  const fault = (code: string, message: string, hint: string, at = source.place(path)): Fault => ({ ...at, code, message, hint });
  if (issue.code === "unrecognized_keys") return unknownKeys(path, issue.keys, root, source);
  if (issue.code === "invalid_key") {
    return [
      fault(
        "BAD_NAME",
        `${what} is not the name of a parameter or column.`,
        "Parameters are letters, digits and `_`, a letter first.",
        source.keyPlace(path),
      ),
    ];
  }
  const more = issue.code === "invalid_union" && issue.discriminator !== undefined ? keysOfNoKind(path.slice(0, -1), root, source) : [];
  if (value === undefined) {
    return [
      ...more,
      fault(
        "MISSING_KEY",
        `${what} is missing.`,
        `Add the key \`${String(path.at(-1))}\`.${choiceHint(issue)}`,
        source.place(path.slice(0, -1)),
      ),
    ];
  }
  if (value === null) return [fault("EMPTY_VALUE", `${what} is empty.`, "Give it a value, or remove the key.", source.keyPlace(path))];
  switch (issue.code) {
    case "custom": {
      const { code, hint, show } = issue.params as RuleParams;
      return [fault(code, `${what} ${issue.message}${show ? `: ${source.show(path)}` : ""}.`, hint)];
    }
    case "invalid_value":
    case "invalid_union":
      return [...more, badChoice(issue, path, value, source)];
    case "too_small":
    case "too_big":
      return [fault(...outOfRange(issue, what))];
    case "invalid_type":
      return [fault("WRONG_TYPE", `${what} must be ${kindName(issue.expected)}, not ${kindOf(value)}.`, typeHint(issue.expected, value))];
    default:
      return [fault("BAD_NAME", `${what} is not a plain name.`, "Use letters, digits and `_`, a letter first.")];
  }
}

function unknownKeys(path: Path, keys: readonly string[], root: unknown, source: Source): Fault[] {
  const known = keysAt(path, root);
  const list = known.length > 0 ? `Known here: ${known.join(", ")}.` : "";
  return keys.map((key) => {
    const at = [...path, key];
    const message = `\`${pathText(at)}\` is no key of a topology.`;
    return { ...source.keyPlace(at), code: "UNKNOWN_KEY", message, hint: `${didYouMean(key, known)}${list}` };
  });
}

/** A map whose kind can't be told was not looked into; its keys are those of one of the kinds, or slips. */
function keysOfNoKind(path: Path, root: unknown, source: Source): Fault[] {
  const known = keysAt(path, root);
  const value = valueAt(root, path);
  const keys = typeof value === "object" && value !== null ? Object.keys(value).filter((key) => !known.includes(key)) : [];
  return unknownKeys(path, keys, root, source);
}

function badChoice(issue: Issue, path: Path, value: unknown, source: Source): Fault {
  const choices = choicesOf(issue);
  const what = `\`${pathText(path)}\``;
  if (choices.length === 0) {
    const hint = "See the reference of the topology file for what goes here.";
    return { ...source.place(path), code: "WRONG_TYPE", message: `${what} can't be ${kindOf(value)}.`, hint };
  }
  const guess = typeof value === "string" && !source.isInterpolated(path) ? didYouMean(value, choices) : "";
  const shown = typeof value === "object" ? kindOf(value) : source.show(path);
  return {
    ...source.place(path),
    code: "BAD_CHOICE",
    message: `${what} can't be ${shown}.`,
    hint: `${guess}Use ${listed(choices)}${orKinds(issue)}.`,
  };
}

function outOfRange(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, what: string): [code: string, message: string, hint: string] {
  const low = issue.code === "too_small";
  const limit = String(low ? issue.minimum : issue.maximum);
  if (issue.origin === "array") {
    return [
      "LIST_TOO_SHORT",
      `${what} needs at least ${limit} ${limit === "1" ? "item" : "items"}.`,
      "Add an item, or remove the key where it may be left out.",
    ];
  }
  return ["OUT_OF_RANGE", `${what} is too ${low ? "small" : "big"}.`, `Use a number ${low ? `not below ${limit}` : `not above ${limit}`}.`];
}

function choicesOf(issue: Issue): string[] {
  if (issue.code === "invalid_value") return issue.values.map(String);
  if (issue.code !== "invalid_union") return [];
  if (issue.errors.length > 0) return issue.errors.flatMap((issues) => issues.flatMap(choicesOf));
  return "options" in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
}

/** In a union of choices with lists or maps: ", or a list". */
function orKinds(issue: Issue): string {
  const inner = issue.code === "invalid_union" ? issue.errors.flat() : [];
  return inner
    .flatMap((other) => (other.code === "invalid_type" && other.path.length === 0 ? [`, or ${kindName(other.expected)}`] : []))
    .join("");
}

const choiceHint = (issue: Issue): string => (choicesOf(issue).length > 0 ? ` Use ${listed(choicesOf(issue))}.` : "");

function listed(choices: readonly string[]): string {
  const quoted = choices.map((choice) => `\`${choice}\``);
  return quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}` : quoted.join("");
}

const KINDS: { readonly [kind: string]: string } = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};
const kindName = (kind: string): string => KINDS[kind] ?? kind;
const kindOf = (value: unknown): string => (Array.isArray(value) ? "a list" : kindName(typeof value));

function typeHint(expected: string, value: unknown): string {
  if (expected === "string" && (typeof value === "number" || typeof value === "boolean"))
    return "If it is meant as text, put it in quotes.";
  if (expected === "array") return "Write a list: one item per line with `- ` before it, or [ a, b ].";
  if (expected === "object" || expected === "record") return "Write keys and values: `key: value`, one per line or between { }.";
  return `Give ${kindName(expected)}.`;
}

function numberOrBoolean(value: unknown): number | boolean | undefined {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "string" && /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$/.test(value) ? Number(value) : undefined;
}
