import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fractionDigits, parseDecimal, plain, sameDecimal } from "../../replicator/change/values/decimal.ts";
import { float4Text, float8Text } from "../../replicator/change/values/float.ts";
import { toPostgresText } from "../../replicator/change/values/to-postgres.ts";
import { toSqlite } from "../../replicator/change/values/to-sqlite.ts";
import { type FreshDatabase, freshDatabase } from "../helpers/postgres.ts";
import { column, orRefused } from "./engines.ts";
import { connect } from "./postgres-pins.ts";

let database: FreshDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await freshDatabase();
  client = await connect(database.url);
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

/** Numbers where shortest printing goes wrong first: random bits, powers of two and ten and their neighbours, few digits. */
function hardNumbers(): number[] {
  const bits = fc.sample(fc.double({ noNaN: true }), { numRuns: 20_000, seed: 1 });
  const tens = fc.sample(fc.tuple(fc.integer({ min: 1, max: 99_999 }), fc.integer({ min: -320, max: 300 })), { numRuns: 20_000, seed: 2 });
  const powers = Array.from({ length: 2098 }, (_, at) => 2 ** (at - 1074));
  return [
    ...bits,
    ...tens.map(([digits, power]) => Number(`${digits}e${power}`)),
    ...powers,
    ...powers.map((power) => power * (1 + 2 ** -52)),
    0,
    -0,
    -1e23,
  ];
}

describe("floats", () => {
  test("float8Text() prints every double as Postgres does", async () => {
    const numbers = hardNumbers();
    const { rows } = await client.query("select x::text as text from unnest($1::float8[]) with ordinality as u (x, n) order by n", [
      numbers.map(exactText),
    ]);
    const wrong = numbers.filter((number, at) => float8Text(number) !== rows[at].text);
    expect(wrong).toEqual([]);
  });

  test("float4Text() prints every single float as Postgres does", async () => {
    const numbers = [...hardNumbers(), ...fc.sample(fc.float({ noNaN: true }), { numRuns: 30_000, seed: 3 })]
      .map(Math.fround)
      .filter(Number.isFinite);
    const { rows } = await client.query("select x::text as text from unnest($1::float4[]) with ordinality as u (x, n) order by n", [
      numbers.map(exactText),
    ]);
    const wrong = numbers.filter((number, at) => float4Text(number) !== rows[at].text);
    expect(wrong).toEqual([]);
  });

  test("a REAL goes into float4 exactly when Postgres gives the same number back", async () => {
    const numbers = [...hardNumbers().slice(0, 40_000), 0.1, Math.fround(0.1), 16777217, 1e39].filter(
      (number) => Math.abs(number) < 3e38 && (Math.abs(number) > 1e-40 || number === 0),
    );
    const { rows } = await client.query("select x::float4::text as text from unnest($1::text[]) with ordinality as u (x, n) order by n", [
      numbers.map(exactText),
    ]);
    for (const [at, number] of numbers.entries()) {
      const text = orRefused(() => toPostgresText({ r: exactText(number) }, column("REAL"), "sqlite", column("real", "float4")));
      const same = Object.is(Number(rows[at].text), number);
      expect(text, String(number)).toBe(same ? rows[at].text : "refused");
    }
  });
});

/** JavaScript prints -0 as 0. */
const exactText = (number: number): string => (Object.is(number, -0) ? "-0" : String(number));

describe("decimals", () => {
  const decimalText = fc
    .tuple(
      fc.constantFrom("", "-", "+"),
      fc.stringMatching(/^[0-9]{1,30}$/),
      fc.option(fc.stringMatching(/^[0-9]{0,30}$/)),
      fc.option(fc.integer({ min: -40, max: 40 })),
    )
    .map(
      ([sign, whole, fraction, power]) => `${sign}${whole}${fraction === null ? "" : `.${fraction}`}${power === null ? "" : `e${power}`}`,
    );

  test("plain() prints the number that was read, as numeric does", async () => {
    const texts = fc.sample(decimalText, { numRuns: 3_000, seed: 4 });
    const { rows } = await client.query(
      "select x::numeric = y::numeric as same from unnest($1::text[], $2::text[]) with ordinality as u (x, y, n) order by n",
      [texts, texts.map((text) => plain(parseDecimal(text) ?? { negative: false, digits: "1", point: 99 }))],
    );
    expect(rows.filter((row) => !row.same)).toEqual([]);
  });

  test("sameDecimal() ignores how a number is written, and nothing else", () => {
    const read = (text: string) => parseDecimal(text) ?? expect.fail(text);
    for (const [a, b] of [
      ["1.50", "15e-1"],
      ["-0", "0.0"],
      ["007", "7."],
      [".5", "5E-1"],
    ] as const)
      expect(sameDecimal(read(a), read(b))).toBe(true);
    for (const [a, b] of [
      ["1", "-1"],
      ["1", "10"],
      ["0.1", "0.01"],
      ["12", "1.2"],
    ] as const)
      expect(sameDecimal(read(a), read(b))).toBe(false);
    for (const text of ["", ".", "e1", "1e", "--1", "1,0", "0x1", " 1", "NaN", "1_0"]) expect(parseDecimal(text)).toBeNull();
    expect(fractionDigits(read("1.2300"))).toBe(2);
  });

  test("a scale below zero takes only what it would not round, one above the precision only what fits", () => {
    const read = (value: string, type: string) =>
      orRefused(() => toPostgresText({ i: value }, column("INTEGER"), "sqlite", column(type, "numeric")));
    expect(read("12300", "numeric(5,-2)")).toBe("12300");
    expect(read("12345", "numeric(5,-2)")).toBe("refused");
    expect(read("12345600", "numeric(5,-2)")).toBe("refused");
    const readReal = (value: string) =>
      orRefused(() => toPostgresText({ r: value }, column("REAL"), "sqlite", column("numeric(2,4)", "numeric")));
    expect(readReal("0.0012")).toBe("0.0012");
    expect(readReal("0.012")).toBe("refused");
  });

  test("a numeric with a scale never comes back with another digit", () => {
    const numeric = fc
      .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: 0, max: 6 }))
      .map(([unscaled, scale]) => {
        const padded = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
        const text = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
        return { scale, text: unscaled < 0n ? `-${text}` : text };
      });
    let carried = 0;
    fc.assert(
      fc.property(numeric, fc.constantFrom("REAL", "NUMERIC", "TEXT"), ({ scale, text }, type) => {
        const source = column(`numeric(30,${scale})`, "numeric");
        const bound = orRefused(() => toSqlite(text, source, "postgres", column(type), false));
        if (bound === "refused") return;
        carried++;
        const value = typeof bound === "bigint" ? { i: String(bound) } : typeof bound === "number" ? { r: String(bound) } : String(bound);
        expect(toPostgresText(value, column(type), "sqlite", source)).toBe(text);
      }),
      { numRuns: 5_000 },
    );
    expect(carried).toBeGreaterThan(1_000);
  });
});
