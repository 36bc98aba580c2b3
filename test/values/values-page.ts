import type { ColumnKind } from "../../replicator/change/values/affinity.ts";
import { type Cell, type FamilyMapping, MAPPING } from "../../replicator/change/values/mapping.ts";

/** How the kinds of columns are named to users, in the order of the page. */
const KINDS: readonly (readonly [ColumnKind, string])[] = [
  ["number", "INTEGER, NUMERIC, DECIMAL, BOOLEAN, DATE, DATETIME, STRING, JSON … (integer or numeric affinity)"],
  ["real", "REAL, DOUBLE, FLOAT (real affinity)"],
  ["text", "TEXT, VARCHAR, CLOB (text affinity)"],
  ["none", "BLOB, no type; `ANY` of a STRICT table"],
  ["strict_integer", "STRICT `INT`, `INTEGER`"],
  ["strict_real", "STRICT `REAL`"],
  ["strict_text", "STRICT `TEXT`"],
  ["strict_blob", "STRICT `BLOB`"],
];

const INTRODUCTION = `# Values between Postgres and SQLite

<!-- Generated from replicator/change/values/mapping.ts by test/values/values-page.ts; \`npx vitest run test/values/docs.test.ts -u\` writes it. -->

The contract is exactness. A value arrives as the very value that left, or its row is refused: the change is parked with the code
\`VALUE_REFUSED\`, which names the column, the two types and the reason, and the other rows go on. Nothing is rounded, cut, or
turned into NULL. NULL and the empty text are never mixed up.

- Postgres sends the text that it prints under fixed settings: ISO dates in UTC, \`IntervalStyle\` postgres, hex \`bytea\`, shortest
  floats, \`lc_monetary\` C. What the role or the database has set makes no difference.
- SQLite sends each value with its storage class, INTEGER as exact digits and REAL as the shortest decimal of the double.
- A domain counts as the type beneath it; its scale or length is not known here, so a domain over \`numeric(10,2)\` is exact in a
  TEXT column only. Arrays, composites, ranges, enums and the types of extensions travel as their text.
- SQLite knows a column by its *affinity*, which follows from the declared type in ways that surprise: \`STRING\`, \`JSON\`, \`UUID\`,
  \`DATETIME\` and \`ANY\` are numeric, \`POINT\` and \`INTERVAL\` are integers (they contain INT). \`tombolo plan\` checks every pair of columns
  by this page and warns of those that cannot hold all values.

Use \`TEXT\` where the table below lists exceptions that matter to you: every Postgres type but \`bytea\` is exact in a TEXT column.
`;

const NOTES = `## From SQLite to Postgres: same value, other spelling

What is accepted from SQLite means the same value in Postgres. Where Postgres has its own way to write it, SQLite keeps what the application
wrote until the column changes at the parent, and then gets Postgres' form. Comparisons are made in Postgres by the typed value, so such a
difference is neither a conflict nor a drift.

| in SQLite | Postgres type | what Postgres makes of it |
|---|---|---|
| TEXT \`007\`, \`+7\` | integer types | \`7\` |
| TEXT \`true\`, \`yes\`, \`1\` | boolean | \`t\` |
| TEXT \`3\`, \`3.1000\` | numeric(10,2) | \`3.00\`, \`3.10\` |
| TEXT \`A0EEBC99-…\`, with or without hyphens and braces | uuid | lower case, with hyphens |
| TEXT \`2024-02-29 12:34:56\`, \`2024-02-29\` | timestamptz | that time in UTC: it is what \`CURRENT_TIMESTAMP\` writes in SQLite |
| TEXT \`2024-02-29T12:34:56.789Z\` | timestamptz | \`2024-02-29 12:34:56.789+00\` |
| TEXT \`ab\` | character(5) | padded with blanks |
| TEXT of JSON | jsonb | Postgres' own order and spacing, last of equal keys; \`json\` keeps its text exactly |
| INTEGER or REAL in a column without affinity | numeric | the number; it comes back as TEXT |
| REAL \`7.0\` in a column without affinity | integer types | \`7\`; it comes back as INTEGER |
| INTEGER in a column without affinity | float types | the number; it comes back as REAL |
| TEXT \`24:00:00\` as the time of a timestamp | timestamp, timestamptz | midnight of the next day |

In a **key**, write values as Postgres prints them: a key that comes back in another spelling does not find its row in SQLite.

## Refused on purpose

- \`now\`, \`today\`, \`epoch\` and the like, month names, \`20240229\`, a zone in a \`timestamp\` or \`time\` without one: Postgres would read them by
  rules of its own. INTEGER and REAL (Unix time, Julian days) are never taken for a time.
- More digits than the type keeps: \`3.141\` for \`numeric(10,2)\`, seven digits of a second, \`0.30000000000000004\` for \`real\`.
- Blanks beyond the length of a \`varchar(n)\`, a \`name\` over 63 bytes: Postgres would cut them without an error.
- U+0000 and broken Unicode in TEXT: Postgres text cannot hold them. Unicode is never normalised: é as one and as two code points stay what they are.
- INTEGER 2 for a boolean; BLOB for anything but \`bytea\`; TEXT for \`bytea\`.
- \`-0\` in a SQLite column of real or numeric affinity: SQLite keeps whole numbers as integers there and drops the sign. Where a column without
  a type holds a \`-0.0\`, SQLite's own functions print it as \`0.0\`, and so it leaves SQLite as 0.

## Limits

- What Postgres itself refuses (a 30th of February, broken JSON, a label that the enum has not, a value out of range) is parked with Postgres' error.
- Inside arrays, composites and ranges written in SQLite, Postgres' input rules apply to the elements: a \`numeric(10,2)[]\` rounds them. Dates
  and times inside arrays and ranges are checked for words and surplus digits. \`interval\` with fields (\`interval day\`) drops the others.
- Lengths and precisions of domains are not known here: Postgres applies them, with its rounding.
- A type of your own that is named like a built-in one (an enum \`"bool"\`) is taken for it.
`;

/** docs/values.md. */
export function valuesPage(): string {
  const families = Object.values(MAPPING).map(familySection).join("\n");
  return `${INTRODUCTION}\n## The mapping\n\n${families}\n${NOTES}`;
}

function familySection({ title, types, cells, fromSqlite }: FamilyMapping): string {
  const covers =
    types.length === 0
      ? 'Enums, composites, `bit`, `varbit`, `xml`, `"char"`, `xid`, `xid8`, `jsonpath`, the `reg` types, ranges of your own, types of extensions.'
      : types.map((type) => `\`${type}\``).join(", ") + (types.includes("date") ? ", and arrays of any type." : ".");
  const rows = KINDS.map(([kind, name]) => `| ${name} | ${cellText(cells[kind])} | ${cells[kind].except ?? ""} |`);
  const back = Object.entries(fromSqlite).map(([storage, accepted]) => `| ${storage} | ${accepted} |`);
  return [
    `### ${title}\n`,
    `${covers}\n`,
    "| SQLite column | stored as | refused |\n|---|---|---|",
    `${rows.join("\n")}\n`,
    "| from SQLite | accepted |\n|---|---|",
    `${back.join("\n")}\n`,
  ].join("\n");
}

const cellText = (cell: Cell): string => cell.as ?? "**never**";
