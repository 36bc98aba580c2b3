import { TomboloError } from "../../change/error.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { inSavepoint, type Refused } from "./attempt.ts";
import { typed } from "./column-sql.ts";
import type { ConstraintReader, ForeignKey } from "./constraints.ts";
import { referringToRefused } from "./dependants.ts";
import type { ChangeSet } from "./fast-path.ts";
import { ident } from "./identifier.ts";
import { valueIn } from "./image.ts";
import type { IncomingChange } from "./incoming.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Changes that refer to a row that is neither here nor written by one of them, and what hangs on those in turn. One look per foreign
 * key, however many they are.
 */
export async function orphansAmong(session: ApplySession, sets: readonly ChangeSet[], constraints: ConstraintReader): Promise<Refused[]> {
  // under the replica's role a fill is mostly believed, and what only one side writes (see mustNotDangle)
  const looked = sets.filter(
    ({ op, table }) => op !== "D" && !(session.quiet && (session.header.kind === "fill" || table.rule.oneWay === true)),
  );
  const written = new Written(sets);
  const orphans = new Map<IncomingChange, Refused>();
  for (const set of looked) {
    const { references } = await constraints.of(set.table.table);
    for (const key of references.filter(({ columns }) => columns.every((name) => set.columns.includes(name)))) {
      for (const incoming of await lacking(session, set, key)) {
        if (!written.has(key, incoming)) orphans.set(incoming, { incoming, error: notThere(set, key) });
      }
    }
  }
  const hanging = referringToRefused(
    [...orphans.values()],
    sets.flatMap(({ changes }) => changes),
  );
  return [...orphans.values(), ...hanging.filter(({ incoming }) => !orphans.has(incoming))];
}

const notThere = ({ table }: ChangeSet, { name, columns }: ForeignKey): TomboloError =>
  new TomboloError(`foreign key ${name} (${columns.join(", ")}) of ${table.table.name}: the row that it refers to is not there`, {
    code: "FOREIGN_KEY_VIOLATION",
    kind: "operator",
  });

async function lacking(session: ApplySession, { table: { table }, changes }: ChangeSet, key: ForeignKey): Promise<IncomingChange[]> {
  const referring = changes.filter(({ images }) => key.columns.every((name) => valueIn(images.new, name) !== null));
  if (referring.length === 0) return [];
  const values = key.columns.map((name, at) => typed(`u.a${at}`, columnNamed(table, name)));
  const arrays = key.columns.map((_, at) => `$${at + 1}::text[]`).join(", ");
  const there = key.to.map((name, at) => `o.${ident(name)} ${key.operators[at]} ${values[at]}`).join(" and ");
  let found: IncomingChange[] = [];
  await inSavepoint(session, async () => {
    const { rows } = await session.client.query({
      text: `select u.ord from unnest(${arrays}) with ordinality as u(${key.columns.map((_, at) => `a${at}`).join(", ")}, ord)
        where not exists (select from ${key.other.sql} as o where ${there}) order by u.ord`,
      values: key.columns.map((name) => textArray(referring.map(({ images }) => valueIn(images.new, name)))),
      rowMode: "array",
    });
    found = (rows as [string][]).map(([ordinal]) => referring[Number(ordinal) - 1] as IncomingChange);
  });
  return found;
}

/** What the changes write themselves, to be found by what a foreign key refers to. */
class Written {
  readonly #sets: readonly ChangeSet[];
  readonly #values = new Map<string, Set<string>>();

  constructor(sets: readonly ChangeSet[]) {
    this.#sets = sets;
  }

  has({ other, columns, to }: ForeignKey, { images }: IncomingChange): boolean {
    return this.#of(other.captured ?? "", to).has(JSON.stringify(columns.map((name) => valueIn(images.new, name))));
  }

  #of(table: string, columns: readonly string[]): ReadonlySet<string> {
    const id = JSON.stringify([table, columns]);
    const known = this.#values.get(id);
    if (known !== undefined) return known;
    const values = new Set<string>();
    for (const { op, table: own, changes } of this.#sets) {
      if (op === "D" || own.table.name !== table) continue;
      for (const { images } of changes) values.add(JSON.stringify(columns.map((name) => valueIn(images.new, name))));
    }
    this.#values.set(id, values);
    return values;
  }
}
