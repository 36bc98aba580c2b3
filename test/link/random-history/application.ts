import type { Engine } from "../../../replicator/change/shape.ts";
import type { TestNode } from "../../helpers/nodes.ts";
import { type Image, type Ledger, type Rows, rowKey } from "./ledger.ts";
import { COLUMNS, TABLES, type TableName } from "./tables.ts";

/** One transaction of an application. `id` and `other` are small numbers: rows of the history's own range. */
export interface Write {
  readonly kind: "write";
  readonly node: number;
  readonly id: number;
  readonly other: number;
  readonly what:
    | "doc a"
    | "doc b"
    | "doc a b"
    | "doc code"
    | "doc swap"
    | "doc move"
    | "doc replace"
    | "doc rekey"
    | "doc remove"
    | "task title"
    | "task boss"
    | "task remove"
    | "box label"
    | "box remove"
    | "thing label"
    | "thing box"
    | "thing remove"
    | "profile place"
    | "profile p"
    | "profile q"
    | "profile p null"
    | "profile q null"
    | "profile lo"
    | "profile hi"
    | "profile bio line"
    | "profile bio word"
    | "profile bio cut"
    | "profile rekey"
    | "profile remove"
    | "tally add"
    | "tally raise"
    | "tally note"
    | "tally all"
    | "again";
}

/** Numbers that are one of a kind in this process. */
let last = 0;
export const nextToken = (): string => `t${++last}x`;
const nextNumber = (size: number): number => 90_000_000 + (size % 4) * 1_000_000 + (++last % 1_000_000);

/** The rows of a history at a node: those with ids from `base` on. */
export async function rowsAt(node: TestNode, base: number): Promise<Rows> {
  const rows = new Map<string, Image>();
  for (const table of TABLES) {
    const columns = ["id", ...COLUMNS[table]];
    const found = await node.rows(`select ${columns.join(", ")} from ${table} where id >= ${base} and id < ${base + 10} order by id`);
    for (const row of found) {
      rows.set(rowKey(table, row[0] as string), Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null])));
    }
  }
  return rows;
}

/** Does some writes at a node as one transaction, and tells the ledger; what the node's own database refuses has not happened. */
export async function perform(writes: readonly Write[], node: TestNode, ledger: Ledger, base: number): Promise<void> {
  const before = await rowsAt(node, base);
  const sql = writes
    .map((write) => statements(write, before, { base, engine: node.node.engine }))
    .filter((text) => text !== "")
    .join("; ");
  if (sql === "") return;
  try {
    await node.write(sql);
  } catch (error) {
    const { code = "" } = error as { code?: string };
    if (code.startsWith("23") || code.startsWith("SQLITE_CONSTRAINT")) return;
    throw error;
  }
  ledger.committed(writes.map(({ what }) => what).join(" + "), node.node.name, before, await rowsAt(node, base));
}

function statements(
  { what, id: small, other: another }: Write,
  rows: Rows,
  { base, engine }: { readonly base: number; readonly engine: Engine },
): string {
  const id = base + small;
  const other = base + another;
  const token = nextToken();
  const number = nextNumber(another);
  const row = (table: TableName, at = id): Image | undefined => rows.get(rowKey(table, at));
  const put = (table: TableName, values: Record<string, string>, ifNew: Record<string, string> = {}): string => {
    if (row(table) !== undefined) {
      const sets = Object.entries(values).map(([name, value]) => `${name} = ${value}`);
      return `update ${table} set ${sets.join(", ")} where id = ${id}`;
    }
    const whole = { id: String(id), ...ifNew, ...values };
    return `insert into ${table} (${Object.keys(whole).join(", ")}) values (${Object.values(whole).join(", ")})`;
  };
  const text = (value: string): string => `'${value}'`;
  const code = (at: number): string => text(`code-${base}-${at % 4}`);
  const remove = (table: TableName): string => `delete from ${table} where id = ${id}`;
  const rekey = (table: TableName): string => (id === other ? "" : `update ${table} set id = ${other} where id = ${id}`);
  const profile = (values: Record<string, string>): string => put("profile", values, { p: text(nextToken()), bio: text(nextToken()) });
  const tally = (values: Record<string, string>): string =>
    row("tally", base + (small % 2)) === undefined
      ? ""
      : `update tally set ${Object.entries(values)
          .map(([name, value]) => `${name} = ${value}`)
          .join(", ")} where id = ${base + (small % 2)}`;
  const add = `n + ${another - 2}`;
  const raise = String(Math.max(number, Number(row("tally", base + (small % 2))?.top ?? 0)));
  switch (what) {
    case "doc a":
      return put("doc", { a: text(token) });
    case "doc b":
      return put("doc", { b: text(token) });
    case "doc a b":
      return put("doc", { a: text(token), b: text(nextToken()) });
    case "doc code":
      return put("doc", { code: code(another), b: text(token) });
    case "doc swap": {
      const [mine, theirs] = [row("doc")?.code, row("doc", other)?.code];
      if (id === other || mine == null || theirs == null) return "";
      return `update doc set code = null where id = ${id}; update doc set code = ${text(mine)}, b = ${text(token)} where id = ${other};
        update doc set code = ${text(theirs)}, b = ${text(nextToken())} where id = ${id}`;
    }
    case "doc move": {
      const mine = row("doc")?.code;
      if (id === other || mine == null || row("doc", other) === undefined) return "";
      return `update doc set code = null, a = ${text(token)} where id = ${id}; update doc set code = ${text(mine)}, a = ${text(nextToken())} where id = ${other}`;
    }
    case "doc replace": {
      const values = `(${id}, ${text(token)}, ${code(another)})`;
      return engine === "sqlite"
        ? `insert or replace into doc (id, a, code) values ${values}`
        : `insert into doc (id, a, code) values ${values} on conflict (id) do update set a = excluded.a, b = null, code = excluded.code`;
    }
    case "doc rekey":
      return rekey("doc");
    case "doc remove":
      return remove("doc");
    case "task title":
      return put("task", { title: text(token) });
    case "task boss":
      return put("task", { boss: row("task", other) === undefined ? "null" : String(other), title: text(token) });
    case "task remove":
      return remove("task");
    case "box label":
      return put("box", { label: text(token) });
    case "box remove":
      return remove("box");
    case "thing label":
      return row("thing") === undefined && row("box", other) === undefined
        ? ""
        : put("thing", { label: text(token) }, { box: String(other) });
    case "thing box":
      return row("box", other) === undefined ? "" : put("thing", { box: String(other), label: text(token) });
    case "thing remove":
      return remove("thing");
    case "profile place":
      return profile({ city: text(token), zip: text(token) });
    case "profile p":
      return profile({ p: text(token) });
    case "profile q":
      return profile({ q: text(token) });
    case "profile p null":
      return profile({ p: "null" });
    case "profile q null":
      return profile({ q: "null" });
    case "profile lo":
      return profile({ lo: String(number) });
    case "profile hi":
      return profile({ hi: String(number) });
    case "profile bio line":
    case "profile bio word":
    case "profile bio cut":
      return profile({ bio: text(edited(what, row("profile")?.bio ?? "", { at: another, token })) });
    case "profile rekey":
      return rekey("profile");
    case "profile remove":
      return remove("profile");
    case "tally add":
      return tally({ n: add });
    case "tally raise":
      return tally({ top: raise });
    case "tally note":
      return tally({ note: text(token) });
    case "tally all":
      return tally({ n: add, top: raise, note: text(token) });
    case "again":
      // written, and nothing is changed
      return row("doc") === undefined ? "" : put("doc", { a: "a" });
  }
}

function edited(what: Write["what"], bio: string, { at, token }: { readonly at: number; readonly token: string }): string {
  const lines = bio.split("\n");
  const line = at % lines.length;
  if (what === "profile bio line") lines.splice(line, 0, `a line of ${token}`);
  else if (what === "profile bio word") lines[line] = `${lines[line]} ${token}`;
  else lines.splice(line, 1);
  return lines.join("\n");
}
