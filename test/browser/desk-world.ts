import { until } from "../helpers/command.ts";
import type { ConsoleWorld } from "./console-world.ts";

/** What the tests of the desks do to a world: as applications and other operators would. */
export interface DeskWorld {
  /** The hub and store-1 both write to a row that they have (null deletes it at the store); answers `hub/ID` of the conflict. */
  conflict(id: number, ours?: string, theirs?: string | null): Promise<string>;
  /** How the hub has the row. */
  note(id: number): Promise<string | null>;
  /** Whether nothing waits on any link. */
  settle(): Promise<void>;
}

export function deskWorld(world: ConsoleWorld): DeskWorld {
  const api = async (method: string, path: string, body?: unknown) => {
    const answer = await world.api(method, path, body);
    if (answer.status >= 300) throw new Error(JSON.stringify(answer.body));
    return answer.body;
  };
  const settle = (): Promise<void> =>
    until("nothing waits", async () => {
      const { links } = await api("GET", "/v1/links");
      return links.every(
        ({ state, up, down }: { state: string; up: Waiting; down: Waiting }) =>
          state === "live" && up.pending_changes === 0 && down.pending_changes === 0,
      );
    });
  const note = async (id: number): Promise<string | null> =>
    (await world.hub.query<{ note: string | null }>("select note from shop.orders where id = $1", [id])).rows[0]?.note ?? null;
  return {
    settle,
    note,
    async conflict(id, ours = "Call Ada on Friday.", theirs: string | null = "Call Ada Lovelace on Monday.") {
      await world.hub.query("insert into shop.orders values ($1, 'Call Ada on Monday.', 1)", [id]);
      await settle();
      // the store has written before the hub's change can travel, and the hub before the store's can be applied
      await world.hub.query("begin");
      await world.hub.query("update shop.orders set note = $2 where id = $1", [id, ours]);
      const store = world.store("store-1");
      if (theirs === null) store.prepare("delete from orders where id = ?").run(id);
      else store.prepare("update orders set note = ?, qty = 2 where id = ?").run(theirs, id);
      await world.hub.query("commit");
      await settle();
      const { conflicts } = await api("GET", "/v1/conflicts?open=true&limit=1");
      if (conflicts[0]?.key.id !== String(id)) throw new Error("there is no conflict");
      return `hub/${conflicts[0].id}`;
    },
  };
}

interface Waiting {
  readonly pending_changes: number | null;
}
