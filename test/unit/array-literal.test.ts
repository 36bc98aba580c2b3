import { expect, test } from "vitest";
import { textArray } from "../../replicator/node/postgres/array-literal.ts";

/** What Postgres reads: elements with quotes around them, or NULL. */
function elementsOf(literal: string): (string | null)[] {
  expect(literal.startsWith("{") && literal.endsWith("}")).toBe(true);
  const inner = literal.slice(1, -1);
  if (inner === "") return [];
  const found = inner.match(/(?:NULL|"(?:[^"\\]|\\.)*")/gs) ?? [];
  // nothing but commas between them
  expect(found.join(",")).toBe(inner);
  return found.map((element) => (element === "NULL" ? null : element.slice(1, -1).replace(/\\(.)/gs, "$1")));
}

test("an array's literal holds each of its elements once and in order, however many there are", () => {
  for (const length of [0, 1, 98, 99, 100, 101, 199, 200, 1234]) {
    const values = Array.from({ length }, (_, at) => (at % 7 === 3 ? null : at % 5 === 2 ? `{"${at}\\", NULL}` : `${at}`));
    expect(elementsOf(textArray(values))).toEqual(values);
  }
});
