import { expect, test } from "vitest";
import { assignments, count, moment, numberAtNode, oneOf } from "../../replicator/cli/option-values.ts";

const NOW = Date.parse("2026-01-31T12:00:00Z");
const invalid = { code: "OPTION_INVALID", kind: "usage" };

test.each([
  ["2026-01-31", "2026-01-31T00:00:00Z"],
  ["2026-01-31T12:00Z", "2026-01-31T12:00Z"],
  ["2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123456Z"],
  ["2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00+01:00"],
  ["7d", "2026-01-24T12:00:00.000Z"],
  ["90s", "2026-01-31T11:58:30.000Z"],
])("the moment %s is %s", (text, expected) => {
  expect(moment("since", text, NOW)).toBe(expected);
});

test.each(["", "yesterday", "2026-13-01", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "7 d", "999999999d", "-7d"])(
  "%j is no moment",
  (text) => {
    expect(() => moment("since", text, NOW)).toThrow(expect.objectContaining(invalid));
  },
);

test("counts, choices, numbers at a node and assignments say what is wrong with them", () => {
  expect(count("limit", "50", 100)).toBe(50);
  for (const text of ["0", "101", "-1", "1.5", "x", "", " 5"])
    expect(() => count("limit", text, 100)).toThrow(expect.objectContaining(invalid));
  expect(oneOf("take", "child", ["parent", "child"])).toBe("child");
  expect(() => oneOf("take", "mine", ["parent", "child"])).toThrow(
    expect.objectContaining({ ...invalid, hint: "It is one of parent, child." }),
  );
  expect(numberAtNode("7")).toEqual({ node: null, id: 7n });
  expect(numberAtNode("store-1/9007199254740993")).toEqual({ node: "store-1", id: 9007199254740993n });
  for (const text of ["", "x", "hub/", "/7", "a/b/7", "7.0", "99999999999999999999"]) {
    expect(() => numberAtNode(text)).toThrow(expect.objectContaining(invalid));
  }
  expect(Object.fromEntries(assignments("set", ["note=a=b", "empty=", "x= y "]))).toEqual({ note: "a=b", empty: "", x: " y " });
  for (const texts of [["note"], ["=x"], ["a=1", "a=2"]]) expect(() => assignments("set", texts)).toThrow(expect.objectContaining(invalid));
});
