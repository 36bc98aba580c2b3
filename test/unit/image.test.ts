import fc from "fast-check";
import { expect, test } from "vitest";
import { ImageReader, Layout, rowOf } from "../../replicator/node/postgres/image.ts";

const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("id", 'na"me', "a: b", "__proto__", "null"));
const value = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(null, "", 'x", "y": "z', "\\", "null", "}", "a\tb"));
const row = fc
  .uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 6 })
  .map((entries) => Object.fromEntries(entries) as { [column: string]: string | null });
/** As Postgres writes it: a space after every colon and comma. */
const spaced = (of: object): string =>
  `{${Object.entries(of)
    .map(([key, text]) => `${JSON.stringify(key)}: ${JSON.stringify(text)}`)
    .join(", ")}}`;

test("a row that is read by its layout is the row that JSON.parse reads, whatever its names and values", () => {
  fc.assert(
    fc.property(row, row, (first, second) => {
      const reader = new ImageReader(() => undefined);
      for (const text of [spaced(first), JSON.stringify(first), spaced(second), spaced(first), JSON.stringify(second)]) {
        expect(rowOf(reader.read(text, "new"))).toEqual(JSON.parse(text));
      }
    }),
    { numRuns: 1000 },
  );
});

test("a text of another layout, with an escape, or with a value that is no string is left to JSON.parse", () => {
  const layout = new Layout(["a", "b"]);
  expect(layout.values('{"a": "1", "b": null}')).toEqual(["1", null]);
  const others = [
    '{"a": "1"}',
    '{"b": "1", "a": "2"}',
    '{"a": "1", "b": "\\n"}',
    '{"a": 1, "b": "2"}',
    '{"a": "1", "b": "2", "c": "3"}',
    '{"a": "1", "b": "2"',
    "{}",
  ];
  for (const text of others) expect(layout.values(text)).toBeNull();
});

test("columns that have no place here are refused every time, not only the first", () => {
  const reader = new ImageReader((names) => {
    if (names.includes("gone")) throw new Error("gone");
  });
  for (let time = 0; time < 2; time++) expect(() => reader.read('{"gone": "1"}', "new")).toThrow("gone");
});
