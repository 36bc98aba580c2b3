import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseTopology } from "../../replicator/topology/load.ts";
import { type Random, random } from "../helpers/random.ts";
import { FUZZ } from "./counts.ts";

const FILE = "/etc/tombolo/topology.yaml";
const EXAMPLES = join(import.meta.dirname, "../../config/examples");
const SOURCES = readdirSync(EXAMPLES)
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => readFileSync(join(EXAMPLES, name), "utf8"));

/** What YAML and the topology mean something by. */
const PIECES = [
  ...[
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    '"',
    "'",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!set ",
    "|",
    ">",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\r",
    "\u0000",
  ],
  ...[
    "${",
    "${A}",
    "${A:-x}",
    "${A:?no}",
    "${file:/x}",
    "$$",
    "${A${B}}",
    "~",
    "null",
    "true",
    "-1",
    "0x10",
    "1e400",
    ".nan",
    "5m",
    "64MiB",
    "9".repeat(40),
  ],
  ...[
    "__proto__",
    "constructor",
    "🏝",
    "\ud800",
    "\u2028",
    "nodes:",
    "links:",
    "name:",
    "version: 1",
    "filter: ':region'",
    "cron: '* * * * *'",
    "a".repeat(3_000),
    "[".repeat(120),
  ],
];
const ENV = { A: "x", B: "{", HUB_URL: "postgres://h/x" };

function damaged(text: string, { int, pick, chance }: Random): string {
  const lines = text.split("\n");
  const at = int(lines.length);
  const line = lines[at] as string;
  switch (int(8)) {
    case 0:
      lines.splice(at, 1 + int(3));
      break;
    case 1:
      lines.splice(int(lines.length), 0, line);
      break;
    case 2:
      lines[at] = `${" ".repeat(int(9))}${line.trimStart()}`;
      break;
    case 3:
      lines[at] = line.replace(/: .*$/, () => `: ${pick(PIECES)}`);
      break;
    case 4:
      [lines[at], lines[int(lines.length)]] = [pick(lines), line];
      break;
    case 5:
      return text.slice(0, int(text.length));
    default: {
      const place = int(text.length);
      return text.slice(0, place) + pick(PIECES) + text.slice(place + (chance(0.5) ? int(8) : 0));
    }
  }
  return lines.join("\n");
}

test("a damaged topology is a list of problems with their places, or a topology", { timeout: 60_000 + FUZZ.topologies * 200 }, () => {
  console.log(`${FUZZ.topologies} topologies: TOMBOLO_FUZZ_TOPOLOGIES=${FUZZ.topologies} TOMBOLO_SEED=${FUZZ.seed}`);
  const chosen = random(FUZZ.seed);
  const codes = new Set<string>();
  let good = 0;
  for (let round = 0; round < FUZZ.topologies; round++) {
    let text = chosen.pick(SOURCES);
    for (let times = 1 + chosen.int(4); times > 0; times--) text = damaged(text, chosen);
    const where = `round ${round} of seed ${FUZZ.seed}:\n${text}`;
    let loaded: ReturnType<typeof parseTopology>;
    try {
      loaded = parseTopology(text, {
        file: FILE,
        env: ENV,
        readFile: (path) => {
          throw Object.assign(new Error(path), { code: "ENOENT" });
        },
      });
    } catch (error) {
      throw new Error(where, { cause: error });
    }
    if ("topology" in loaded) {
      good += 1;
      continue;
    }
    expect(loaded.problems.length, where).toBeGreaterThan(0);
    const lines = text.split(/\r\n|[\r\n]/).length;
    for (const problem of loaded.problems) {
      expect(problem.file).toBe(FILE);
      expect(problem.code, where).toMatch(/^[A-Z][A-Z0-9_]+$/);
      expect(problem.message, where).not.toBe("");
      expect(problem.line, where).toBeGreaterThanOrEqual(1);
      expect(problem.line, where).toBeLessThanOrEqual(lines + 1);
      expect(problem.column, where).toBeGreaterThanOrEqual(1);
      codes.add(problem.code);
    }
  }
  console.log(`${good} were good all the same, ${codes.size} kinds of problems`);
  expect(good).toBeGreaterThan(0);
  expect(codes.size).toBeGreaterThan(15);
});
