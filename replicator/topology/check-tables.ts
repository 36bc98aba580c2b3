import { called, type Draft, type DraftTable } from "./draft.ts";
import { valueAt } from "./plain-value.ts";
import type { Fault, Path, Place, Source } from "./source.ts";

/** Tables: each in one channel, no two of one name in a SQLite file, conflict settings that say something. */
export function checkTables(draft: Draft, source: Source): Fault[] {
  const tables = draft.channels.flatMap((channel) => channel.tables);
  return [
    ...repeatedTables(tables),
    ...sqliteCollisions(draft),
    ...tables.flatMap((table) => conflictSettings(table, source)),
    ...policiesWithoutEffect(draft),
  ];
}

function repeatedTables(tables: readonly DraftTable[]): Fault[] {
  const first = new Map<string, DraftTable>();
  return tables.flatMap((table) => {
    if (!table.name || !table.at) return [];
    const key = JSON.stringify([table.at.schema, table.at.table]);
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, table);
      return [];
    }
    const message = `The table ${table.name.shown} is here a second time; the first is in line ${earlier.name?.place.line}.`;
    return [{ ...table.name.place, code: "TABLE_TWICE", message, hint: "A table travels in one channel only: remove it here or there." }];
  });
}

/** Per SQLite node (an edge of a group may always be one), all tables that come to it; SQLite ignores case in names. */
function sqliteCollisions(draft: Draft): Fault[] {
  const sqlite = new Set(draft.nodes.filter((node) => node.type === "sqlite").map((node) => node.name?.text));
  const places = new Map<string, Set<string>>();
  for (const user of [...draft.links, ...draft.groups]) {
    const ends = "child" in user ? [user.parent?.text, user.child?.text] : [user.parent?.text, `group ${user.name?.text}`];
    for (const end of ends) {
      if (end === undefined || !(sqlite.has(end) || end.startsWith("group "))) continue;
      const channels = places.get(end) ?? new Set();
      for (const use of user.channels) if (use.channel) channels.add(use.channel.text);
      places.set(end, channels);
    }
  }
  const faults: Fault[] = [];
  for (const channels of places.values()) {
    const first = new Map<string, DraftTable>();
    for (const table of draft.channels.filter((channel) => channels.has(channel.name?.text ?? "")).flatMap((channel) => channel.tables)) {
      const key = table.sqliteName?.toLowerCase();
      if (key === undefined || !table.name || !table.at) continue;
      const earlier = first.get(key);
      if (earlier === undefined) first.set(key, table);
      else if (earlier.at?.schema !== table.at.schema || earlier.at.table !== table.at.table) {
        const message = `The tables ${called(earlier)} and ${table.name.shown} have the same name in SQLite.`;
        faults.push({ ...table.name.place, code: "SQLITE_NAME_COLLISION", message, hint: "Give one of them another `sqlite_name`." });
      }
    }
  }
  return faults;
}

/** Which keys of the map go with which policy, and which columns are said twice. */
function conflictSettings(table: DraftTable, source: Source): Fault[] {
  if (table.conflict === undefined || table.policy === undefined) return [];
  const path: Path = [...table.path, "conflict"];
  const faults: Fault[] = [];
  const fault = (at: Place, code: string, message: string, hint: string): void => void faults.push({ ...at, code, message, hint });
  const policy = table.policy.text;
  const has = (key: string): boolean => valueAt(table.conflict, [key]) !== undefined;
  for (const [key, owner] of [
    ["columns", "merge"],
    ["otherwise", "merge"],
    ["module", "module"],
  ] as const) {
    if (!has(key) || policy === owner || (key === "otherwise" && policy === "module")) continue;
    const hint = `Remove it, or set \`policy: ${owner}\`.`;
    fault(
      source.keyPlace([...path, key]),
      "CONFLICT_KEY_UNUSED",
      `\`${key}\` belongs to the policy \`${owner}\`; the policy here is ${table.policy.shown}.`,
      hint,
    );
  }
  if (policy === "module" && !has("module")) {
    fault(table.policy.place, "MODULE_MISSING", "The policy `module` needs the module.", "Add `module: ./decide.js`.");
  }
  if (policy === "merge" && !has("columns") && !has("groups")) {
    fault(
      table.policy.place,
      "MERGE_WITHOUT_COLUMNS",
      "The policy `merge` does not say what to merge.",
      "Add `columns` (column: text, json, set, counter, max or min) or `groups`.",
    );
  }
  faults.push(...mergeColumns(table, path, source));
  return faults;
}

function mergeColumns(table: DraftTable, path: Path, source: Source): Fault[] {
  const faults: Fault[] = [];
  const used = new Map<string, string>(table.exclude.map((column) => [column, "in `exclude`"]));
  const take = (column: unknown, where: string, at: Place): void => {
    if (typeof column !== "string") return;
    const earlier = used.get(column);
    if (earlier !== undefined) {
      const hint = "A column is merged in one way, belongs to one group, or stays at home.";
      faults.push({ ...at, code: "MERGE_COLUMN_TWICE", message: `The column is already ${earlier}.`, hint });
    } else used.set(column, where);
  };
  const columns = valueAt(table.conflict, ["columns"]);
  if (typeof columns === "object" && columns !== null) {
    for (const column of Object.keys(columns)) take(column, "in `columns`", source.keyPlace([...path, "columns", column]));
  }
  const groups = valueAt(table.conflict, ["groups"]);
  for (const [i, group] of (Array.isArray(groups) ? groups : []).entries()) {
    for (const [j, column] of (Array.isArray(group) ? group : []).entries())
      take(column, "in a group", source.place([...path, "groups", i, j]));
  }
  return faults;
}

/** A policy decides about what comes up from a child. Where nothing ever does, someone expects something that will not happen. */
function policiesWithoutEffect(draft: Draft): Fault[] {
  return draft.channels.flatMap((channel) => {
    const uses = [...draft.links, ...draft.groups].flatMap((user) =>
      user.channels.filter((use) => use.channel !== undefined && use.channel.text === channel.name?.text),
    );
    if (uses.length === 0 || uses.some((use) => use.direction !== "down")) return [];
    return channel.tables.flatMap(({ policy, name }) => {
      if (policy === undefined || policy.text === "parent_wins") return [];
      const message = `The policy ${policy.shown} of ${name?.shown ?? "this table"} never decides anything: the channel ${channel.name?.shown} only goes down.`;
      return [
        {
          ...policy.place,
          code: "POLICY_WITHOUT_EFFECT",
          message,
          hint: "Remove `conflict`, or let the channel travel `both` or `up` in a link.",
        },
      ];
    });
  });
}
