import fc from "fast-check";
import { expect, test } from "vitest";
import { literalToJson, splitImage } from "../../replicator/node/sqlite/image.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "'", "''", "a'b", '"', "\\", "\n", "\u007f", "\u2028", "\ud800", "é"),
);
const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;

test("a text of the log is written as JSON.stringify writes it, whatever it holds", () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(literalToJson(quoted(value))).toBe(JSON.stringify(value));
    }),
    { numRuns: 2000 },
  );
});

test("an image is cut where its literals end, whatever stands in them", () => {
  const literal = fc.oneof(text.map(quoted), fc.constantFrom("NULL", "7", "-1.5e+10", "X'00FF'", "t'6100'", "9.0e+999"));
  fc.assert(
    fc.property(fc.array(literal, { minLength: 1 }), (literals) => {
      expect(splitImage(literals.join(","))).toEqual(literals);
    }),
    { numRuns: 2000 },
  );
});
