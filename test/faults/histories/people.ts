import type { Place } from "../places.ts";
import { type Parked, parkedAt } from "./look.ts";
import type { World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** In the table of codes: what waits for another change that is parked. */
const BEHIND = "BEHIND_PARKED";

/**
 * What people do about changes that were set aside: they take what is in the way out of it, where the change was refused. Answers those for which there is nothing
 * in the way, by which they are parked without a reason.
 */
export async function mend(world: World): Promise<string[]> {
  const parked = (await Promise.all(world.places.map(parkedAt))).flat();
  const unexplained: string[] = [];
  const retried = new Set<Place>();
  for (const each of parked) {
    const writer = world.writers.find(({ name }) => name === each.place.name);
    if (writer === undefined || each.code === BEHIND) continue;
    if (!(await clear(world, writer, each))) unexplained.push(described(each));
    // what is not tried now is when the node comes to it, within ten seconds
    if (retried.has(each.place)) continue;
    retried.add(each.place);
    if (each.place.kind === "edge") await world.edges.find(({ place }) => place === each.place)?.poke();
    else await world.operator.retryParked(each.place.name, each.id).catch(() => undefined);
  }
  return unexplained;
}

export const described = ({ place, table, op, key, code, reason }: Parked): string =>
  `${place.name}: ${op} of ${table} ${JSON.stringify(key)} is parked as ${code} (${reason})`;

/** Whether something was in the way. */
async function clear(world: World, writer: Writer, parked: Parked): Promise<boolean> {
  const { place, id, table, op, key, new: image, code } = parked;
  if (code === "UNIQUE_VIOLATION" && table === "badge") {
    const rows = await place.rows(
      `select id, body from badge where code is not null and id <> ${literal(key.id)} and code = ${literal(image?.code ?? null)}`,
    );
    for (const [other, body] of rows) {
      const token = writer.pen().next();
      await told(world, place, { written: [token], over: [body as string] }, [
        "update badge set code = null, body = ? where id = ? and body = ? returning id",
        token,
        other,
        body,
      ]);
    }
    return rows.length > 0;
  }
  if (code === "FOREIGN_KEY_VIOLATION" && table === "line" && image !== null) {
    // an update says only what it changes; the row may be gone here, with what it refers to
    const purchase = image.purchase ?? world.books.purchaseOf.get(key.id as string);
    if (purchase == null) return false;
    if ((await place.rows(`select 1 from purchase where id = ${literal(purchase)}`)).length > 0) return false;
    const token = writer.pen().next();
    await told(world, place, { written: [token], over: [] }, [
      "insert into purchase (id, body) values (?, ?) returning id",
      purchase,
      token,
    ]);
    return true;
  }
  if (code === "FOREIGN_KEY_VIOLATION" && table === "purchase" && op === "D") {
    const lines = await place.rows(`select body from line where purchase = ${literal(key.id)}`);
    if (lines.length === 0) return false;
    // one does without the deletion, another one without the lines
    if (place.kind === "hub" && Number(id) % 2 === 0) {
      await world.operator.discardParked(place.name, id);
      return true;
    }
    // only as they were seen: they may have been written to meanwhile
    for (const [body] of lines) {
      await told(world, place, { written: [], over: [body as string] }, [
        "delete from line where purchase = ? and body = ? returning id",
        ...[key.id, body],
      ]);
    }
    return true;
  }
  if (code === "COLUMN_MISSING") return !world.withColumn.has(place);
  return false;
}

const literal = (value: string | null | undefined): string => (value == null ? "null" : `'${value}'`);

/** Writes one statement, which answers the rows that it wrote: none where the row is not as it was seen any more. */
async function told(
  { books }: World,
  place: Place,
  { written, over }: { readonly written: string[]; readonly over: string[] },
  statement: readonly [string, ...unknown[]],
): Promise<void> {
  let hasWritten = false;
  const failure = await place.write(function* () {
    hasWritten = (yield statement).length > 0;
  });
  if (!hasWritten) return;
  if (failure === null) books.committed(written, over);
  else if (failure.sent) books.uncertain(over);
}
