import { elapsedMs } from "../change/elapsed.ts";
import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import type { ChangeLog } from "../node/change-log.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Flow } from "./flow.ts";
import type { LinkObserver } from "./link.ts";

const RETRY_MS = 2_000;
/** Of a child's refused changes, so many are told in full; of the others, that they are there. */
const MOST_TOLD = 1_000;

/** What a flow does about changes that its target has set aside: they are tried again, and a child is told of its own. */
export class ParkedRounds {
  readonly #flow: Flow;
  readonly #observer: LinkObserver;
  readonly #now: () => number;
  #retriedAt = 0;
  #toldAt = 0;
  /** Whether the child has been told, since this began, that nothing waits. */
  #toldNothing = false;

  constructor(options: { readonly flow: Flow; readonly observer: LinkObserver; readonly now: () => number }) {
    this.#flow = options.flow;
    this.#observer = options.observer;
    this.#now = options.now;
  }

  /** Tries what is due, now and then; all of it, or `only` these, at once where asked to. Answers how many went through. */
  async retry(context: ApplyContext, options: { readonly all: boolean; readonly only?: readonly bigint[] }): Promise<number> {
    const { source, target } = this.#flow;
    if (!options.all && elapsedMs(this.#retriedAt, this.#now()) < RETRY_MS) return 0;
    this.#retriedAt = this.#now();
    const through = await target.target.retryParked(source.name, context, { ...options, now: await this.#shapesToday() });
    if (through > 0) {
      this.#observer.notice({
        level: "info",
        code: "PARKED_APPLIED",
        message: `${through} parked change(s) went through`,
        source: source.name,
        target: target.name,
      });
    }
    return through;
  }

  /** Tells a child what of its changes waits at its parent. `moved`: something was parked, or went through, just now. */
  async tell({ hasParked, moved }: { readonly hasParked: boolean; readonly moved: boolean }): Promise<void> {
    const { source, target, from } = this.#flow;
    if (from !== "child") return;
    const due = hasParked ? moved || elapsedMs(this.#toldAt, this.#now()) >= RETRY_MS : !this.#toldNothing;
    if (!due) return;
    const refused = hasParked ? await target.parked.refused(source.name, MOST_TOLD) : { total: 0, changes: [] };
    await source.parked.noteRefused(target.name, refused);
    this.#toldAt = this.#now();
    this.#toldNothing = refused.total === 0;
  }

  async #shapesToday(): Promise<readonly TableShape[]> {
    const { source, groups } = this.#flow;
    return shapesToday(
      source.log,
      groups.flatMap((channels) => channels.flatMap(({ tables }) => tables)),
    );
  }
}

/** The tables as they are in their node today: what was parked may have columns that its packet's shapes did not know yet. */
export async function shapesToday(log: Pick<ChangeLog, "shapes">, tables: readonly TableName[]): Promise<readonly TableShape[]> {
  try {
    return await log.shapes(tables);
  } catch (error) {
    // what waits is then read by the shapes that it came with
    if (error instanceof TomboloError && error.code === "TABLE_NOT_CAPTURED") return [];
    throw error;
  }
}
