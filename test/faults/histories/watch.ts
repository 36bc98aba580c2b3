import { setTimeout as delay } from "node:timers/promises";
import type { Place } from "../places.ts";
import { ACCOUNTS, BALANCE } from "./tables.ts";

/** Looks at every place all the time; answers what showed a part of a transaction. */
export async function keepLooking(places: readonly Place[], stop: AbortSignal): Promise<string[]> {
  const halves: string[] = [];
  const look = async (place: Place): Promise<void> => {
    for (const [owner, count, sum] of await place.rows("select owner, count(*), sum(n) from account group by owner")) {
      if (Number(count) === ACCOUNTS && Number(sum) === ACCOUNTS * BALANCE) continue;
      halves.push(`${place.name} showed ${count} accounts of ${owner} that hold ${sum}`);
    }
    // in one statement, as transactions of others are between two
    const counted = await place.rows("select (select count(*) from account where owner = 'hub'), (select count(*) from tally)");
    const [accounts, tallies] = (counted[0] ?? []).map(Number);
    if ((accounts === 0) !== (tallies === 0)) halves.push(`${place.name} was filled with ${accounts} accounts and ${tallies} counters`);
  };
  while (!stop.aborted) {
    // one whose server is away shows nothing
    await Promise.all(places.map((place) => look(place).catch(() => undefined)));
    await delay(150);
  }
  return halves;
}

/** Writes at the hub, so that everyone can see how far others are. */
export async function keepBeating(hub: Place, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await beat(hub);
    await delay(150);
  }
}

export const beat = (hub: Place, by = 1): ReturnType<Place["write"]> =>
  hub.write(function* () {
    yield ["update beat set n = n + ? where id = 1", by];
  });
