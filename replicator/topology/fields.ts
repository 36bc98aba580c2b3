import { posix } from "node:path";
import { z } from "zod";
import { isKnownTimeZone, isReachableCron } from "./cron.ts";
import { readPostgresUrl } from "./location.ts";
import { isNetwork } from "./loopback.ts";
import { isReservedSchema, isReservedSqliteTable, parseTableName, TABLE_NAME } from "./table-name.ts";
import { DURATION, durationMs, LISTEN, listenAddress, SIZE, sizeBytes } from "./units.ts";

/** What the schema says of a key: shown by editors and in docs/topology.md. */
export interface About {
  readonly description: string;
  readonly examples?: readonly unknown[];
}

/** How a text is checked beyond being text, and what to say when it does not pass. */
interface Rule {
  readonly code: string;
  /** After the key's name: "is not a duration". */
  readonly message: string;
  readonly hint: string;
  readonly test: (text: string) => boolean;
  /** For the JSON Schema, where one expression tells it. */
  readonly pattern?: RegExp;
  /** False where the value may hold a secret, so that no message shows it. */
  readonly show?: boolean;
}

export interface RuleParams {
  readonly code: string;
  readonly hint: string;
  readonly show: boolean;
}

function ruled(rule: Rule, about: About) {
  const params: RuleParams = { code: rule.code, hint: rule.hint, show: rule.show ?? true };
  return z
    .string()
    .refine(rule.test, { error: rule.message, params: { ...params } })
    .meta({ ...described(about), ...(rule.pattern && { pattern: rule.pattern.source }) });
}

/** A mutable copy, as zod wants it. */
export const described = (about: About): { description: string; examples?: unknown[] } => ({
  description: about.description,
  ...(about.examples && { examples: [...about.examples] }),
});

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** Names become file names, metric labels, role names and parts of URLs: nothing that means something there. */
export const name = (about: About) =>
  ruled(
    {
      code: "BAD_NAME",
      message: "is not a name",
      hint: "Use 1 to 63 letters, digits, `-`, `_` and `.`, a letter or digit first.",
      test: (text) => NAME.test(text),
      pattern: NAME,
    },
    about,
  );

/** A text that is not empty and holds no NUL, which neither database takes. */
export const words = (about: About) =>
  ruled(
    {
      code: "BAD_TEXT",
      message: "is empty or holds a NUL character",
      hint: "Give a text, or leave the key out.",
      test: (text) => text !== "" && !text.includes("\0"),
      pattern: /^[^\0]+$/,
    },
    about,
  );

/** Like `words`, and no message shows it. */
export const secret = (about: About) =>
  ruled(
    {
      code: "BAD_TEXT",
      message: "is empty or holds a NUL character",
      hint: "Give the password, or leave the key out.",
      test: (text) => text !== "" && !text.includes("\0"),
      show: false,
    },
    about,
  );

export const filePath = (about: About) =>
  ruled(
    {
      code: "BAD_PATH",
      message: "is not the path of a file",
      hint: "Give a path on disk, relative to the topology's folder or absolute; `:memory:` and `file:` URIs can't be replicated.",
      test: (text) =>
        text !== "" &&
        !text.includes("\0") &&
        !/^(:|[a-z][a-z0-9+.-]+:)/i.test(text) &&
        !/[/\\]$/.test(text) &&
        posix.basename(text) !== "..",
    },
    about,
  );

/** The parameters in the query are left to the driver. */
export const postgresUrl = (about: About) =>
  ruled(
    {
      code: "BAD_URL",
      message: "is not a Postgres URL",
      hint:
        "Write postgres://user@host:5432/database or embedded:./folder; percent-encode special characters in the user and the password " +
        "(@ is %40, / is %2F), or give the password in the key `password`.",
      test: isPostgresUrl,
      show: false,
    },
    about,
  );

function isPostgresUrl(text: string): boolean {
  if (text.startsWith("embedded:")) return text.length > "embedded:".length && !text.includes("\0");
  const parts = readPostgresUrl(text);
  if (parts === null) return false;
  const { username, password, pathname, search, hash } = parts;
  try {
    for (const part of [username, password, pathname]) decodeURIComponent(part); // throws on what is not percent-encoded
    // an "@" after the host, a fragment or a second "/" is a password that was cut open at its first special character
    return hash === "" && !pathname.slice(1).includes("/") && !`${pathname}${search}`.includes("@");
  } catch {
    return false;
  }
}

export const tableName = (about: About) =>
  ruled(
    {
      code: "BAD_TABLE_NAME",
      message: "is not the name of a table that can be replicated",
      hint: "Write schema.table exactly as in the database, a part with a dot or space in double quotes: 'shop.\"order lines\"'. Tables of the database itself and of Tombolo do not travel.",
      test: (text) => {
        const place = parseTableName(text);
        return place !== null && !isReservedSchema(place.schema);
      },
      pattern: TABLE_NAME,
    },
    about,
  );

export const sqliteTableName = (about: About) =>
  ruled(
    {
      code: "BAD_TABLE_NAME",
      message: "is not a table name for SQLite",
      hint: "Write the plain name, without a schema; names that start with `sqlite_` or `tombolo_` are taken.",
      test: (text) => text !== "" && !text.includes("\0") && !isReservedSqliteTable(text),
    },
    about,
  );

/** `least` is the smallest duration that makes sense, as text. */
export const duration = (about: About, least: string) =>
  ruled(
    {
      code: "BAD_DURATION",
      message: `is not a duration of ${least} or more`,
      hint: "Write a whole number and its unit, ms, s, m, h or d, nothing between: 50ms, 5m, 7d.",
      test: (text) => (durationMs(text) ?? -1) >= (durationMs(least) ?? 0),
      pattern: DURATION,
    },
    about,
  );

/** `least` is the smallest size that makes sense, as text. */
export const size = (about: About, least: string) =>
  ruled(
    {
      code: "BAD_SIZE",
      message: `is not a size of ${least} or more`,
      hint: "Write a whole number and its unit, B, KiB, MiB, GiB or TiB, nothing between: 4MiB, 10GiB.",
      test: (text) => (sizeBytes(text) ?? -1) >= (sizeBytes(least) ?? 0),
      pattern: SIZE,
    },
    about,
  );

export const listen = (about: About) =>
  ruled(
    {
      code: "BAD_LISTEN",
      message: "is not an address to listen on",
      hint: "Write host:port, e.g. 127.0.0.1:9187, [::1]:9187, or 0.0.0.0:9187 for all interfaces.",
      test: (text) => listenAddress(text) !== null,
      pattern: LISTEN,
    },
    about,
  );

export const network = (about: About) =>
  ruled(
    {
      code: "BAD_NETWORK",
      message: "is not an address or a network",
      hint: "Write an IP address, or a network with its number of bits: 10.0.0.7, 10.1.0.0/16, fd00::/8.",
      test: isNetwork,
    },
    about,
  );

export const cron = (about: About) =>
  ruled(
    {
      code: "BAD_CRON",
      message: "is not a cron expression that ever comes due",
      hint: 'Write "minute hour day month weekday", e.g. "0 3 * * *" for three at night; a sixth field in front is seconds.',
      test: isReachableCron,
    },
    about,
  );

export const timeZone = (about: About) =>
  ruled(
    {
      code: "BAD_TIMEZONE",
      message: "is not a time zone",
      hint: "Use UTC or a name of the IANA list, e.g. Europe/Berlin.",
      test: isKnownTimeZone,
    },
    about,
  );

const LINK = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

export const linkName = (about: About) =>
  ruled(
    {
      code: "BAD_LINK",
      message: "does not name a link",
      hint: "Write PARENT/CHILD, e.g. hub/store-1.",
      test: (text) => LINK.test(text),
      pattern: LINK,
    },
    about,
  );

/** May hold a secret, as those of chat services do, so that no message shows it. */
export const hookUrl = (about: About) =>
  ruled(
    {
      code: "BAD_HOOK_URL",
      message: "is not the URL of a webhook",
      hint: "Write https://host/path, or http:// inside of your own network; credentials go into `authorization`.",
      test: (text) => {
        if (!/^https?:\/\/[^\s\0]+$/.test(text) || !URL.canParse(text)) return false;
        const { username, password } = new URL(text);
        return username === "" && password === "";
      },
      show: false,
    },
    about,
  );

const MAIL_ADDRESS = /^[^\s@<>,;:"]+@[^\s@<>,;:"]+$/;

export const mailAddress = (about: About) =>
  ruled(
    {
      code: "BAD_MAIL_ADDRESS",
      message: "is not a mail address",
      hint: "Write name@host, without a name around it.",
      test: (text) => MAIL_ADDRESS.test(text),
      pattern: MAIL_ADDRESS,
    },
    about,
  );
