import type { ColumnKind } from "../../replicator/change/values/affinity.ts";
import {
  BEYOND_INT64,
  FLOAT4,
  FLOAT4_FRACTIONS,
  FLOAT8,
  FLOAT8_FRACTIONS,
  FLOAT8_HUGE,
  INT_BEYOND_DOUBLE,
  INT64_NUMERICS,
  ISO_TIMESTAMPS,
  JSONS,
  LONG_NUMERICS,
  NUMBER_LIKE_TEXT,
  NUMBERS_IN_TEXT,
  NUMERICS,
  repeat,
  TEN_TO_20,
  TEXTS,
  TRAILING_ZEROS,
} from "./golden-values.ts";

/**
 * The golden table: values of every built-in Postgres type and of the kinds of types that users make, as SQL input. Each is carried
 * through every kind of SQLite column; `refused` lists, by kind, those that the kind cannot hold exactly. Where a kind holds no value of a
 * type at all, the mapping says so and nothing is listed.
 */
export interface GoldenType {
  /** As `format_type` shows it. */
  readonly type: string;
  /** `pg_type.typname`; read from the server and compared. */
  readonly base: string;
  readonly values: readonly string[];
  readonly refused?: { readonly [kind in ColumnKind]?: readonly string[] };
  /** The first major version that has the type, or prints these values. */
  readonly since?: number;
}

/** Types of the test's own. */
export const GOLDEN_DDL = [
  "create extension if not exists hstore",
  "create extension if not exists citext",
  "create type mood as enum ('sad', 'ok', 'Happy ''n'' \"quoted\"', '7', '', 'ünïcödé')",
  "create type shade as enum ('07', '1.50')",
  "create domain email as text check (value like '%@%')",
  "create domain price as numeric(10,2)",
  "create domain positive as integer check (value > 0)",
  "create domain tags as text[]",
  "create type address as (street text, zip text, n integer, ok boolean, at timestamptz)",
  "create type nested as (a address, list integer[])",
  "create type span as range (subtype = float8)",
];

const only = (values: readonly string[], ...kinds: ColumnKind[]): { [kind in ColumnKind]?: readonly string[] } =>
  Object.fromEntries(kinds.map((kind) => [kind, values]));

export const GOLDEN: readonly GoldenType[] = [
  { type: "smallint", base: "int2", values: ["0", "1", "-1", "32767", "-32768"] },
  { type: "integer", base: "int4", values: ["0", "7", "-7", "2147483647", "-2147483648"] },
  {
    type: "bigint",
    base: "int8",
    values: ["0", "-1", "9007199254740992", ...INT_BEYOND_DOUBLE, "-9223372036854775808", "1152921504606846976"],
    refused: only(INT_BEYOND_DOUBLE, "real", "strict_real"),
  },
  { type: "oid", base: "oid", values: ["0", "1", "4294967295"] },
  { type: "boolean", base: "bool", values: ["t", "f"] },
  {
    type: "double precision",
    base: "float8",
    values: FLOAT8,
    refused: {
      ...only(["-0"], "number", "real"),
      strict_real: ["-0", "NaN"],
      strict_integer: ["-0", "NaN", "Infinity", "-Infinity", ...FLOAT8_FRACTIONS, ...FLOAT8_HUGE],
    },
  },
  {
    type: "real",
    base: "float4",
    values: FLOAT4,
    refused: {
      ...only(["-0"], "number", "real"),
      strict_real: ["-0", "NaN"],
      strict_integer: ["-0", "NaN", "Infinity", "-Infinity", "3.4028235e38", ...FLOAT4_FRACTIONS],
    },
  },
  {
    type: "numeric",
    base: "numeric",
    values: [...NUMERICS, ...INT64_NUMERICS, ...BEYOND_INT64, TEN_TO_20, ...TRAILING_ZEROS, ...LONG_NUMERICS, "NaN"],
    refused: {
      number: [...BEYOND_INT64, ...TRAILING_ZEROS, ...LONG_NUMERICS],
      real: [...INT64_NUMERICS, ...BEYOND_INT64, ...TRAILING_ZEROS, ...LONG_NUMERICS],
      strict_real: [...INT64_NUMERICS, ...BEYOND_INT64, ...TRAILING_ZEROS, ...LONG_NUMERICS, "NaN"],
      strict_integer: [...BEYOND_INT64, TEN_TO_20, ...TRAILING_ZEROS, ...LONG_NUMERICS, "NaN", "3.14", "-0.5", "0.001"],
    },
  },
  {
    type: "numeric",
    base: "numeric",
    values: ["Infinity", "-Infinity"],
    since: 14,
    refused: { strict_integer: ["Infinity", "-Infinity"] },
  },
  {
    type: "numeric(10,2)",
    base: "numeric",
    values: ["0", "3", "3.10", "-0.05", "99999999.99", "12345678.9", "NaN"],
    refused: { strict_integer: ["3.10", "-0.05", "99999999.99", "12345678.9", "NaN"], strict_real: ["NaN"] },
  },
  {
    type: "numeric(30,10)",
    base: "numeric",
    values: ["0", "12345678901234567890", "1.5", "12345678901234567890.0123456789", "0.0000000001"],
    refused: {
      ...only(["12345678901234567890", "12345678901234567890.0123456789"], "number", "real", "strict_real"),
      strict_integer: ["12345678901234567890", "12345678901234567890.0123456789", "1.5", "0.0000000001"],
    },
  },
  { type: "numeric(5,-2)", base: "numeric", values: ["12345", "0", "9999900"], since: 15 },
  {
    type: "numeric(2,4)",
    base: "numeric",
    values: ["0.0012", "0", "0.0099"],
    since: 15,
    refused: { strict_integer: ["0.0012", "0.0099"] },
  },
  {
    type: "price",
    base: "numeric",
    values: ["3", "3.14"],
    // a domain hides its scale: 3.00 is taken for a numeric that could have been 3
    refused: { ...only(["3"], "number", "real", "strict_real"), strict_integer: ["3", "3.14"] },
  },
  { type: "bytea", base: "bytea", values: ["", "\\x00", "\\x00ff00", "\\xdeadbeef", "\\x5c7830", `\\x${repeat("0a", 5000)}`] },
  {
    type: "text",
    base: "text",
    values: [...TEXTS, ...NUMBERS_IN_TEXT, ...NUMBER_LIKE_TEXT],
    refused: { number: NUMBER_LIKE_TEXT, real: [...NUMBER_LIKE_TEXT, "9223372036854775807"] },
  },
  {
    type: "character varying(10)",
    base: "varchar",
    values: ["", "abc", "abc  ", "😀😀😀😀😀😀😀😀😀😀", "7", "007"],
    refused: only(["007"], "number", "real"),
  },
  { type: "character varying", base: "varchar", values: ["", "x", "1.5"] },
  { type: "character(5)", base: "bpchar", values: ["", "ab", "abcde", "7", "😀"], refused: only(["7"], "number", "real") },
  { type: '"char"', base: "char", values: ["", "a", "7"], refused: only(["7"], "number", "real") },
  { type: "name", base: "name", values: ["", "pg_class", "é", "42"] },
  { type: "citext", base: "citext", values: ["MiXeD", "É", "", "5"] },
  { type: "email", base: "text", values: ["a@b", "1@2"] },
  { type: "positive", base: "int4", values: ["1", "2147483647"] },
  {
    type: "json",
    base: "json",
    values: [...JSONS, "5", "-1.5", "1.50", "1e5", " 5"],
    refused: only(["1.50", "1e5", " 5"], "number", "real"),
  },
  { type: "jsonb", base: "jsonb", values: [...JSONS, "5", "-1.5", "1.50", "1e5"], refused: only(["1.50"], "number", "real") },
  { type: "xml", base: "xml", values: ["<a b='c'>d</a>", "<a/><b/>", "text &amp; more", "5"], refused: only(["5"], "number", "real") },
  {
    type: "date",
    base: "date",
    values: ["2024-02-29", "4713-01-01 BC", "5874897-12-31", "0001-01-01", "infinity", "-infinity", "10000-01-01"],
  },
  { type: "time without time zone", base: "time", values: ["00:00:00", "24:00:00", "23:59:59.999999", "12:00:00.5"] },
  { type: "time(3) without time zone", base: "time", values: ["12:34:56.789", "24:00:00"] },
  {
    type: "time with time zone",
    base: "timetz",
    values: ["00:00:00+00", "24:00:00-15:59:59", "12:00:00.000001+05:30", "24:00:00+15:59:59"],
  },
  { type: "timestamp without time zone", base: "timestamp", values: ISO_TIMESTAMPS.map((text) => text.replace(/[+]\d\d/, "")) },
  { type: "timestamp(0) without time zone", base: "timestamp", values: ["2024-02-29 12:34:56", "infinity"] },
  { type: "timestamp with time zone", base: "timestamptz", values: ISO_TIMESTAMPS },
  { type: "timestamp(3) with time zone", base: "timestamptz", values: ["2024-02-29 12:34:56.789+00"] },
  {
    type: "interval",
    base: "interval",
    values: [
      ...[
        "0",
        "1 year 2 mons 3 days 04:05:06.789012",
        "-1 year -2 mons +3 days -04:05:06.5",
        "178000000 years",
        "-178000000 years",
        "1 mon -1 day +00:00:00.000001",
      ],
      ...["-00:00:00.000001", "2562047788:00:54.775807", "-1 days +02:03:00", "1 day", "24:00:00", "100 years ago"],
    ],
  },
  { type: "interval", base: "interval", values: ["infinity", "-infinity"], since: 17 },
  { type: "interval(2)", base: "interval", values: ["00:00:01.25"] },
  { type: "interval day to second", base: "interval", values: ["3 days 04:05:06"] },
  {
    type: "uuid",
    base: "uuid",
    values: ["00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "12345678-1234-1234-1234-123456789012"],
  },
  { type: "money", base: "money", values: ["0", "1234567.89", "-0.05", "92233720368547758.07", "-92233720368547758.08"] },
  { type: "inet", base: "inet", values: ["10.0.0.1", "10.0.0.1/8", "::1", "2001:db8::ff00:42:8329/64", "0.0.0.0/0"] },
  { type: "cidr", base: "cidr", values: ["10.0.0.0/8", "2001:db8::/32", "10"] },
  { type: "macaddr", base: "macaddr", values: ["08:00:2b:01:02:03"] },
  { type: "macaddr8", base: "macaddr8", values: ["08:00:2b:01:02:03:04:05"] },
  { type: "bit(3)", base: "bit", values: ["101", "000"], refused: only(["101", "000"], "number", "real") },
  { type: "bit varying(8)", base: "varbit", values: ["", "1", "0110"], refused: only(["1", "0110"], "number", "real") },
  { type: "bit varying", base: "varbit", values: [repeat("10", 100)], refused: only([repeat("10", 100)], "number", "real") },
  { type: "point", base: "point", values: ["(1.5,-2)", "(Infinity,NaN)", "(1e308,5e-324)"] },
  { type: "line", base: "line", values: ["{1,-1,0}"] },
  { type: "lseg", base: "lseg", values: ["[(0,0),(1,1)]"] },
  { type: "box", base: "box", values: ["(1,1),(0,0)"] },
  { type: "path", base: "path", values: ["[(0,0),(1,1)]", "((0,0),(1,1))"] },
  { type: "polygon", base: "polygon", values: ["((0,0),(1,0),(1,1))"] },
  { type: "circle", base: "circle", values: ["<(0,0),1.5>"] },
  { type: "tsvector", base: "tsvector", values: ["'a' 'fat':2A 'it''s':1,3", ""] },
  { type: "tsquery", base: "tsquery", values: ["'fat' & ( 'rat' | !'cat' )", "'a' <-> 'b':*", ""] },
  { type: "pg_lsn", base: "pg_lsn", values: ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"] },
  { type: "hstore", base: "hstore", values: ["", '"a"=>"1", "b"=>NULL, "c d"=>"NULL"', '"q\\""=>"\\\\"'] },
  { type: "jsonpath", base: "jsonpath", values: ['$."a"[*]', '$?(@."b" > 1)', "5"], refused: only(["5"], "number", "real") },
  { type: "xid8", base: "xid8", values: ["18446744073709551615"], refused: only(["18446744073709551615"], "number", "real") },
  { type: "xid", base: "xid", values: ["4294967295"], refused: only(["4294967295"], "number", "real") },
  { type: "cid", base: "cid", values: ["0"], refused: only(["0"], "number", "real") },
  { type: "tid", base: "tid", values: ["(4294967295,65535)"] },
  { type: "txid_snapshot", base: "txid_snapshot", values: ["10:20:10,14,15"] },
  { type: "pg_snapshot", base: "pg_snapshot", values: ["10:20:10,14,15", "5:5:"] },
  { type: "regclass", base: "regclass", values: ["pg_class"] },
  { type: "regtype", base: "regtype", values: ["integer", '"char"'] },
  { type: "regprocedure", base: "regprocedure", values: ["sum(integer)"] },
  { type: "int2vector", base: "int2vector", values: ["1 2 3"] },
  { type: "oidvector", base: "oidvector", values: ["1 2", ""] },
  { type: "mood", base: "mood", values: ["sad", "Happy 'n' \"quoted\"", "", "ünïcödé", "7"], refused: only(["7"], "number", "real") },
  { type: "shade", base: "shade", values: ["07", "1.50"], refused: only(["07", "1.50"], "number", "real") },
  {
    type: "address",
    base: "address",
    values: ['("Main \\"St\\", 1",01234,7,t,"2024-01-01 00:00:00+00")', "(,,,,)", '("",NULL,,f,infinity)'],
  },
  { type: "nested", base: "nested", values: ['("(a,b,1,t,)","{1,NULL,3}")'] },
  { type: "int4range", base: "int4range", values: ["empty", "[1,10)", "(,)", "[5,)", "(,5)"] },
  { type: "int8range", base: "int8range", values: ["[9007199254740993,9223372036854775807)", "empty"] },
  { type: "numrange", base: "numrange", values: ["[1.10,2.200]", "[NaN,]", "empty"] },
  { type: "tsrange", base: "tsrange", values: ['["2024-01-01 00:00:00","2024-01-02 00:00:00.000001")', "[-infinity,infinity]"] },
  {
    type: "tstzrange",
    base: "tstzrange",
    values: ['["2024-01-01 00:00:00+00",)', '["0044-03-15 12:00:00+00 BC","10000-01-01 00:00:00+00")', "empty"],
  },
  { type: "daterange", base: "daterange", values: ["[2024-01-01,2024-02-01)", "(,infinity)", "empty"] },
  { type: "span", base: "span", values: ["[0.1,0.30000000000000004)", "(-Infinity,NaN]"] },
  { type: "int4multirange", base: "int4multirange", values: ["{}", "{[1,3),[5,)}"], since: 14 },
  { type: "nummultirange", base: "nummultirange", values: ["{[1.10,2.200]}"], since: 14 },
  { type: "tstzmultirange", base: "tstzmultirange", values: ['{["2024-01-01 00:00:00+00",infinity)}'], since: 14 },
  { type: "datemultirange", base: "datemultirange", values: ["{[2024-01-01,2024-02-01),[2024-03-01,)}"], since: 14 },
  {
    type: "text[]",
    base: "_text",
    values: [
      "{}",
      '{a,NULL,"NULL",""}',
      '{"quo\\"te","back\\\\slash","comma,"}',
      "{{a,b},{c,NULL}}",
      "[0:1]={x,y}",
      '{"😀"," lead"}',
      "{7}",
    ],
  },
  { type: "integer[]", base: "_int4", values: ["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[2:3]={5,6}"] },
  { type: "bigint[]", base: "_int8", values: ["{9223372036854775807,-9223372036854775808}"] },
  { type: "double precision[]", base: "_float8", values: ["{0.1,-0,NaN,Infinity,5e-324,1e+308}"] },
  { type: "numeric(10,2)[]", base: "_numeric", values: ["{1.10,NULL,3.00}"] },
  { type: "boolean[]", base: "_bool", values: ["{t,f,NULL}"] },
  { type: "bytea[]", base: "_bytea", values: ['{"\\\\x00ff",NULL}'] },
  {
    type: "timestamp with time zone[]",
    base: "_timestamptz",
    values: ['{"2024-01-01 00:00:00+00",infinity,"0044-03-15 12:00:00+00 BC",NULL}'],
  },
  { type: "date[]", base: "_date", values: ['{2024-01-01,-infinity,"0044-03-15 BC"}'] },
  { type: "jsonb[]", base: "_jsonb", values: ['{"{\\"a\\": [1, 2]}",null}', "{NULL}"] },
  { type: "uuid[]", base: "_uuid", values: ["{00000000-0000-0000-0000-000000000000}"] },
  { type: "mood[]", base: "_mood", values: ['{sad,NULL,"","Happy \'n\' \\"quoted\\""}'] },
  { type: "address[]", base: "_address", values: ['{"(\\"a b\\",,1,t,)",NULL}'] },
  { type: "int4range[]", base: "_int4range", values: ['{"[1,3)",empty}'] },
  { type: "tags", base: "_text", values: ["{a,b}", "{}"] },
];
