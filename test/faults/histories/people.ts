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
        "update badge set code = null, body = ? where id = ? and body = ?",
        token,
        other,
        body,
      ]);
    }
    return rows.length > 0;
  }
  if (code === "FOREIGN_KEY_VIOLATION" && table === "line" && image !== null) {
    const purchase = image.purchase ?? (await place.rows(`select purchase from line where id = ${literal(key.id)}`))[0]?.[0];
    if (typeof purchase !== "string") return false;
    if ((await place.rows(`select 1 from purchase where id = ${literal(purchase)}`)).length > 0) return false;
    const token = writer.pen().next();
    await told(world, place, { written: [token], over: [] }, ["insert into purchase (id, body) values (?, ?)", purchase, token]);
    return true;
  }
  if (code === "FOREIGN_KEY_VIOLATION" && table === "purchase" && op === "D") {
    const lines = await place.rows(`select body from line where purchase = ${literal(key.id)}`);
    if (lines.length === 0) return false;
    // one does without the deletion, another one without the lines
    if (place.kind === "hub" && Number(id) % 2 === 0) await world.operator.discardParked(place.name, id);
    else
      await told(world, place, { written: [], over: lines.map(([body]) => body as string) }, [
        "delete from line where purchase = ?",
        key.id,
      ]);
    return true;
  }
  if (code === "COLUMN_MISSING") return !world.withColumn.has(place);
  return false;
}

const literal = (value: string | null | undefined): string => (value == null ? "null" : `'${value}'`);

async function told(
  { books }: World,
  place: Place,
  { written, over }: { readonly written: string[]; readonly over: string[] },
  statement: readonly [string, ...unknown[]],
): Promise<void> {
  const failure = await place.write(function* () {
    yield statement;
  });
  if (failure === null) books.committed(written, over);
  else if (failure.sent) books.uncertain(over);
}
