import type { Value } from "../../replicator/change/value.ts";

/**
 * What applications store in SQLite, against the Postgres types that it meets. `same`: comes back from Postgres as the identical stored value.
 * `printed`: Postgres takes it as the same value and prints it in its own way. `refused`: has no exact form.
 */
export interface FromSqlite {
  /** Postgres, as `format_type` shows it. */
  readonly type: string;
  readonly base: string;
  /** The declared type of the SQLite column. */
  readonly sqlite: string;
  readonly same?: readonly Value[];
  readonly printed?: readonly (readonly [Value, string])[];
  readonly refused?: readonly Value[];
}

const i = (digits: string): Value => ({ i: digits });
const r = (text: string): Value => ({ r: text });
const b = (hex: string): Value => ({ b: hex });

const NEVER_TEXT: readonly Value[] = ["a\0b", "\0", "\ud800", "x\udc00y", "\udfff\ud800"];
const WORDS_OF_THE_MOMENT = ["now", "today", "tomorrow", "yesterday", "NOW", " now ", "epoch", "allballs"];

export const FROM_SQLITE: readonly FromSqlite[] = [
  {
    type: "bigint",
    base: "int8",
    sqlite: "INTEGER",
    same: [i("0"), i("-1"), i("9007199254740993"), i("9223372036854775807"), i("-9223372036854775808"), null],
    refused: ["abc", "", r("0.5"), r("1e300"), r("9223372036854775808"), r("Infinity"), b("31"), ...NEVER_TEXT],
  },
  {
    type: "integer",
    base: "int4",
    sqlite: "INTEGER",
    same: [i("2147483647"), i("-2147483648")],
    refused: [i("2147483648"), i("-2147483649"), i("9223372036854775807")],
  },
  { type: "smallint", base: "int2", sqlite: "INTEGER", same: [i("32767")], refused: [i("32768"), i("-32769")] },
  { type: "oid", base: "oid", sqlite: "INTEGER", same: [i("4294967295")], refused: [i("-1"), i("4294967296")] },
  {
    type: "integer",
    base: "int4",
    sqlite: "TEXT",
    same: ["7", "-12", "0"],
    printed: [
      ["007", "7"],
      [" 5 ", "5"],
      ["+5", "5"],
      ["-0", "0"],
    ],
    refused: ["", "1.0", "1e3", "0x10", "1_000", "2147483648", "seven", "٧"],
  },
  {
    type: "integer",
    base: "int4",
    sqlite: "",
    same: [i("7")],
    printed: [
      ["7", "7"],
      [r("7.0"), "7"],
    ],
    refused: [r("-0"), r("7.5"), b("")],
  },
  {
    type: "bigint",
    base: "int8",
    sqlite: "REAL",
    same: [r("7.0"), r("1152921504606846976"), r("9007199254740992")],
    refused: [r("0.5"), r("1e19"), r("-Infinity")],
  },
  {
    type: "boolean",
    base: "bool",
    sqlite: "BOOLEAN",
    printed: [
      ["t", "t"],
      ["false", "f"],
    ],
    same: [i("0"), i("1"), null],
    refused: [i("2"), i("-1"), r("0.5"), "maybe", "", "tru e", b("01")],
  },
  {
    type: "boolean",
    base: "bool",
    sqlite: "TEXT",
    same: ["t", "f"],
    printed: [
      ["true", "t"],
      ["TRUE", "t"],
      ["yes", "t"],
      ["on", "t"],
      ["1", "t"],
      ["No", "f"],
      ["off", "f"],
      ["of", "f"],
      ["0", "f"],
      [" y ", "t"],
    ],
    refused: ["2", "o", "", "-1", "null"],
  },
  { type: "boolean", base: "bool", sqlite: "REAL", same: [r("1.0"), r("0.0")], refused: [r("2.0"), r("0.1")] },
  {
    type: "double precision",
    base: "float8",
    sqlite: "REAL",
    same: [
      r("0.1"),
      r("0.30000000000000004"),
      r("5e-324"),
      r("1.7976931348623157e308"),
      r("Infinity"),
      r("-Infinity"),
      r("3.0"),
      r("1e23"),
      "NaN",
    ],
    refused: ["abc", "", "1 2", b("00")],
  },
  {
    type: "double precision",
    base: "float8",
    sqlite: "",
    same: [r("-0"), r("3.0"), "NaN"],
    printed: [
      [i("3"), "3"],
      ["1.5", "1.5"],
    ],
    refused: [i("9007199254740993")],
  },
  {
    type: "double precision",
    base: "float8",
    sqlite: "INTEGER",
    same: [i("3"), r("0.5"), i("1152921504606846976")],
    refused: [i("9007199254740993")],
  },
  {
    type: "double precision",
    base: "float8",
    sqlite: "TEXT",
    same: ["0.1", "1e+300", "NaN", "-0", "Infinity"],
    printed: [
      ["1.50", "1.5"],
      ["inf", "Infinity"],
      ["1e3", "1000"],
      [" 2 ", "2"],
    ],
    refused: ["0.1000000000000000055", "1e400", "9007199254740993", "0x1", "1e-400"],
  },
  {
    type: "real",
    base: "float4",
    sqlite: "REAL",
    same: [r("0.1"), r("3.4028235e38"), r("1e-45"), r("Infinity")],
    refused: [r("0.10000000149011612"), r("0.30000000000000004"), r("1e39"), r("1e-50")],
  },
  {
    type: "numeric",
    base: "numeric",
    sqlite: "NUMERIC",
    same: [i("9223372036854775807"), r("0.1"), r("1e300"), r("-1.5"), "NaN", i("0")],
    refused: ["abc", b("00")],
  },
  {
    type: "numeric",
    base: "numeric",
    sqlite: "TEXT",
    same: ["3.00", "1".repeat(1000), "0.0"],
    printed: [
      ["1e5", "100000"],
      ["+1", "1"],
      ["007.50", "7.50"],
    ],
    refused: ["", "1e200000", "1e-20000", "$1", "1,5"],
  },
  {
    type: "numeric(10,2)",
    base: "numeric",
    sqlite: "DECIMAL(10,2)",
    same: [i("3"), r("3.1"), r("-0.05"), i("99999999")],
    refused: [r("0.005"), r("3.141"), i("100000000"), r("123456789.5"), r("Infinity"), "abc"],
  },
  { type: "numeric(10,2)", base: "numeric", sqlite: "REAL", same: [r("3.0"), r("3.1")], refused: [r("0.30000000000000004"), r("1e300")] },
  {
    type: "numeric(10,2)",
    base: "numeric",
    sqlite: "TEXT",
    same: ["3.00"],
    printed: [
      ["3", "3.00"],
      ["3.1000", "3.10"],
    ],
    refused: ["3.001", "1e9", "Infinity"],
  },
  { type: "bytea", base: "bytea", sqlite: "BLOB", same: [b(""), b("00ff"), b("5c78")], refused: ["abc", "\\x00", "", i("1"), r("1.5")] },
  {
    type: "text",
    base: "text",
    sqlite: "TEXT",
    same: ["", " ", "007", "1.50", "NULL", "e\u0301", "\u00e9", "😀", "\u0001", "\ufffd", "'\"\\", "a\r\n", null],
    refused: [...NEVER_TEXT, b(""), b("616263")],
  },
  {
    type: "text",
    base: "text",
    sqlite: "STRING",
    same: [i("7"), r("1.5"), "abc", "", i("-9223372036854775808")],
    refused: [r("1e300"), r("Infinity"), b("61")],
  },
  { type: "text", base: "text", sqlite: "", same: ["7"], refused: [i("7"), r("1.5"), b("")] },
  { type: "character varying(3)", base: "varchar", sqlite: "TEXT", same: ["abc", "😀😀😀", "a  "], refused: ["abcd", "abc ", "😀😀😀😀"] },
  {
    type: "character(3)",
    base: "bpchar",
    sqlite: "TEXT",
    same: ["abc", "a  "],
    printed: [
      ["a", "a  "],
      ["", "   "],
      ["abc  ", "abc"],
    ],
    refused: ["abcd"],
  },
  { type: "name", base: "name", sqlite: "TEXT", same: ["x".repeat(63)], refused: ["x".repeat(64), "é".repeat(32)] },
  { type: '"char"', base: "char", sqlite: "TEXT", same: ["a", ""], refused: ["ab", "é"] },
  { type: "json", base: "json", sqlite: "TEXT", same: ['{"a": 1,  "a": 2}', " [1]", "1.50"], refused: [i("5"), b("7b7d")] },
  {
    type: "jsonb",
    base: "jsonb",
    sqlite: "TEXT",
    same: ['{"a": 1}'],
    printed: [
      ['{"b":1,"a":2,"a":3}', '{"a": 3, "b": 1}'],
      ["1e2", "100"],
    ],
  },
  { type: "jsonb", base: "jsonb", sqlite: "JSON", same: [i("5"), '{"a": 1}', r("1.5")] },
  {
    type: "uuid",
    base: "uuid",
    sqlite: "TEXT",
    same: ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    printed: [["{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]],
    refused: ["x", "", i("1"), b("a0eebc999c0b4ef8bb6d6bb9bd380a11")],
  },
  {
    type: "date",
    base: "date",
    sqlite: "DATE",
    same: ["2024-02-29", "0044-03-15 BC", "infinity", "5874897-12-31"],
    refused: [
      ...WORDS_OF_THE_MOMENT,
      "20240229",
      "29.02.2024",
      "02/29/2024",
      "Feb 29 2024",
      "2024-2-9",
      "",
      i("20240101"),
      r("2451545.0"),
      i("1700000000"),
    ],
  },
  {
    type: "timestamp with time zone",
    base: "timestamptz",
    sqlite: "DATETIME",
    same: ["2024-02-29 12:34:56.789012+00", "0044-03-15 12:00:00+00 BC", "-infinity"],
    printed: [
      ["2024-02-29 12:34:56", "2024-02-29 12:34:56+00"],
      ["2024-02-29T12:34:56.789Z", "2024-02-29 12:34:56.789+00"],
      ["2024-02-29", "2024-02-29 00:00:00+00"],
      ["2024-02-29 12:34:56+05:45", "2024-02-29 06:49:56+00"],
      ["2024-02-29 12:34", "2024-02-29 12:34:00+00"],
      ["0044-03-15 12:00:00 BC", "0044-03-15 12:00:00+00 BC"],
      ["2024-02-29 12:34:56.7890120+00", "2024-02-29 12:34:56.789012+00"],
    ],
    refused: [
      ...WORDS_OF_THE_MOMENT,
      "2024-02-29 12:34:56.1234567",
      "2024-02-29 12:34:56 CET",
      "2024-02-29 12:34:56 PM",
      i("1700000000"),
      r("2451545.0"),
      i("0"),
      "",
    ],
  },
  {
    type: "timestamp without time zone",
    base: "timestamp",
    sqlite: "TIMESTAMP",
    same: ["2024-02-29 12:34:56.5", "infinity"],
    printed: [
      ["2024-02-29T12:34:56", "2024-02-29 12:34:56"],
      ["2024-01-01 24:00:00", "2024-01-02 00:00:00"],
    ],
    refused: ["2024-02-29 12:34:56Z", "2024-02-29 12:34:56+02", ...WORDS_OF_THE_MOMENT],
  },
  {
    type: "timestamp(0) without time zone",
    base: "timestamp",
    sqlite: "TEXT",
    same: ["2024-02-29 12:34:56"],
    printed: [["2024-02-29 12:34:56.000", "2024-02-29 12:34:56"]],
    refused: ["2024-02-29 12:34:56.6"],
  },
  {
    type: "time without time zone",
    base: "time",
    sqlite: "TEXT",
    same: ["24:00:00", "12:00:00.5"],
    printed: [["12:30", "12:30:00"]],
    refused: ["12:00:00+01", "noon", "120000", "12:00 PM", "now"],
  },
  {
    type: "time with time zone",
    base: "timetz",
    sqlite: "TEXT",
    same: ["12:00:00+05:30"],
    printed: [["12:30:00", "12:30:00+00"]],
    refused: ["12:30 CET", "now"],
  },
  {
    type: "interval",
    base: "interval",
    sqlite: "TEXT",
    same: ["1 year 2 mons -3 days +04:05:06"],
    printed: [
      ["90 min", "01:30:00"],
      ["P1D", "1 day"],
    ],
    refused: ["1.0000001 s", i("5"), r("1.5")],
  },
  { type: "interval(2)", base: "interval", sqlite: "TEXT", same: ["00:00:01.25"], refused: ["00:00:01.255"] },
  {
    type: "money",
    base: "money",
    sqlite: "TEXT",
    same: ["$1,234.56", "-$0.05"],
    printed: [["1234.5", "$1,234.50"]],
    refused: ["$1.005", "1e3", "€5", "1.234,50", i("5")],
  },
  { type: "inet", base: "inet", sqlite: "TEXT", same: ["10.0.0.1"], printed: [["2001:DB8::1", "2001:db8::1"]] },
  { type: "bit(3)", base: "bit", sqlite: "TEXT", same: ["101"], refused: [i("101")] },
  { type: "integer[]", base: "_int4", sqlite: "TEXT", same: ["{1,NULL,3}", "{}"], printed: [["{ 1 , 2 }", "{1,2}"]], refused: [i("1")] },
  {
    type: "timestamp with time zone[]",
    base: "_timestamptz",
    sqlite: "TEXT",
    same: ['{"2024-01-01 00:00:00+00",infinity,NULL}'],
    refused: ["{now}", '{"2024-01-01 00:00:00.1234567+00"}', "{tomorrow}", '{"1 Jan 2024"}'],
  },
  { type: "tstzrange", base: "tstzrange", sqlite: "TEXT", same: ["empty", '["2024-01-01 00:00:00+00",)'], refused: ["[now,)", "(,today]"] },
];
