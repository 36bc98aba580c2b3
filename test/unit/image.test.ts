import fc from "fast-check";
import { expect, test } from "vitest";
import { RowLayout } from "../../replicator/change/row-layout.ts";
import type { Row, Value } from "../../replicator/change/value.ts";
import { ImageReader, rowOf } from "../../replicator/node/postgres/image.ts";

const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("id", 'na"me', "a: b", "__proto__", "null"));
const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", 'x", "y": "z', "\\", '\\"', "null", "}", "a\tb", '{"i":"1"}'));
const value: fc.Arbitrary<Value> = fc.oneof(
  text,
  fc.constant(null),
  fc.bigInt().map((i) => ({ i: `${i}` })),
  fc.double({ noNaN: true }).map((r) => ({ r: `${r}` })),
  fc.uint8Array().map((b) => ({ b: Buffer.from(b).toString("hex") })),
);
const rows = (values: fc.Arbitrary<Value>) =>
  fc
    .uniqueArray(fc.tuple(name, values), { selector: ([key]) => key, maxLength: 6 })
    .map((entries) => Object.fromEntries(entries) as { [column: string]: Value });
/** As Postgres writes it: a space after every colon and comma. */
const spaced = (of: object): string =>
  `{${Object.entries(of)
    .map(([key, text]) => `${JSON.stringify(key)}: ${JSON.stringify(text)}`)
    .join(", ")}}`;

test("a row that is read by its layout is the row that JSON.parse reads, whatever its names and values", () => {
  const some = rows(fc.oneof(text, fc.constant(null)));
  fc.assert(
    fc.property(some, some, (first, second) => {
      const reader = new ImageReader((name) => ({ name }));
      for (const text of [spaced(first), JSON.stringify(first), spaced(second), spaced(first), JSON.stringify(second)]) {
        expect(rowOf(reader.read(text, "new"))).toEqual(JSON.parse(text));
      }
    }),
    { numRuns: 1000 },
  );
});

test("values of every kind are read by a layout as JSON.parse reads them", () => {
  fc.assert(
    fc.property(rows(value), (row) => {
      const read = JSON.parse(JSON.stringify(row)) as Row;
      const names = Object.keys(row);
      expect(new RowLayout(names).values(JSON.stringify(row))).toEqual(names.map((name) => read[name]));
    }),
    { numRuns: 1000 },
  );
});

test("a text of another layout, or written in an unusual way, is left to JSON.parse", () => {
  const layout = new RowLayout(["a", "b"]);
  expect(layout.values('{"a": "1", "b": null}')).toEqual(["1", null]);
  expect(layout.values('{"a":"\\"\\\\","b":{"i":"7"}}')).toEqual(['"\\', { i: "7" }]);
  const others = [
    '{"a": "1"}',
    '{"b": "1", "a": "2"}',
    '{"a": "1", "\\u0062": "2"}',
    '{"a": 1, "b": "2"}',
    '{"a": {"i": "1"}, "b": "2"}',
    '{"a": {"i":"\\u0031"}, "b": "2"}',
    '{"a": {"i":"1","r":"2"}, "b": "2"}',
    '{"a": {"x":"1"}, "b": "2"}',
    '{"a": {"ii":"1"}, "b": "2"}',
    '{"a": ["i":"1"], "b": "2"}',
    '{"a": "1", "b": "2", "c": "3"}',
    '{"a": "1", "b": "2"',
    '{"a": "1", "b": "2\\"}',
    "{}",
  ];
  for (const text of others) expect(layout.values(text)).toBeNull();
});

test("columns are left out, named as they are here, and converted; those of the same names have the same layout", () => {
  const reader = new ImageReader((name) =>
    name === "home" ? null : { name: name.toLowerCase(), convert: (value) => (value === null ? "" : JSON.stringify(value)) },
  );
  for (let time = 0; time < 2; time++) {
    expect(rowOf(reader.read('{"A":{"i":"1"},"home":"x","__proto__":null}', "new"))).toEqual(
      JSON.parse('{"a":"{\\"i\\":\\"1\\"}","__proto__":""}'),
    );
  }
  expect(reader.read('{"a":"1"}', "old").layout).toBe(reader.read('{"A":"2","home":null}', "new").layout);
});

test("columns that have no place here are refused every time, not only the first", () => {
  const reader = new ImageReader((name) => {
    if (name === "gone") throw new Error("gone");
    return { name };
  });
  for (let time = 0; time < 2; time++) expect(() => reader.read('{"gone": "1"}', "new")).toThrow("gone");
});
