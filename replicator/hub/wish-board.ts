import type { NodeName } from "../change/names.ts";
import { SharedCall } from "../change/shared-call.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";

/** What somebody at the hub wants an edge to do, as an exchange tells it (see `answerHead`). */
export interface Wishes {
  readonly full_sync?: { readonly run: string; readonly tables: readonly string[]; readonly verify?: true };
  readonly full_sync_push?: Wishes["full_sync"];
  readonly resync?: NonNullable<Wishes["full_sync"]> & { readonly direction: SyncDirection };
  readonly reconcile?: { readonly run: string; readonly name: string; readonly repair: string; readonly scope?: string };
}

/** While edges wait, the hub's database is asked so often: for all of them at once. */
const LOOK_EVERY_MS = 1_000;

interface Look {
  readonly beganAt: number;
  readonly wishes: ReadonlyMap<NodeName, Wishes>;
}

/**
 * What the edges of a node are wanted to do. One look is for all who ask meanwhile, so that a thousand edges that wait cost what one does; and who waits is told of
 * what is new. It is told once by each process: an edge that cannot do it now, or is too old to know of it, waits on.
 */
export class WishBoard {
  readonly #node: Pick<Node, "copies" | "reconciles">;
  readonly #waiters = new Map<NodeName, Set<() => void>>();
  /** What each edge was last told. */
  readonly #told = new Map<NodeName, string>();
  #last: Look | undefined;
  /** One that has begun may have missed what a caller knows of. */
  readonly #looks = new SharedCall(() => this.#look());
  #timer: NodeJS.Timeout | undefined;

  constructor(node: Pick<Node, "copies" | "reconciles">) {
    this.#node = node;
  }

  /** What the edge is to be told now; a look so many milliseconds old will do. */
  async of(edge: NodeName, { oldMs }: { readonly oldMs: number }): Promise<Wishes> {
    const last = this.#last;
    const { wishes } = last !== undefined && performance.now() - last.beganAt < oldMs ? last : await this.#looks.following();
    const own = wishes.get(edge);
    if (own === undefined) this.#told.delete(edge);
    else this.#told.set(edge, idOf(own));
    return own ?? {};
  }

  /** Calls once there is something that the edge has not been told of. Ends with the signal. */
  wait(edge: NodeName, signal: AbortSignal, wished: () => void): void {
    if (signal.aborted) return;
    const waiters = this.#waiters.get(edge) ?? new Set();
    this.#waiters.set(edge, waiters.add(wished));
    signal.addEventListener(
      "abort",
      () => {
        waiters.delete(wished);
        if (waiters.size === 0 && this.#waiters.get(edge) === waiters) this.#waiters.delete(edge);
      },
      { once: true },
    );
    this.#arm();
  }

  #arm(): void {
    if (this.#waiters.size === 0) return;
    this.#timer ??= setTimeout(() => void this.#tell(), LOOK_EVERY_MS).unref();
  }

  async #tell(): Promise<void> {
    try {
      const { wishes } = await this.#looks.following();
      for (const [edge, own] of wishes) {
        if (idOf(own) !== this.#told.get(edge)) for (const wished of this.#waiters.get(edge) ?? []) wished();
      }
    } catch {
      // whoever is answered meets it
    } finally {
      this.#timer = undefined;
      this.#arm();
    }
  }

  async #look(): Promise<Look> {
    const beganAt = performance.now();
    const [fills, compares] = await Promise.all([this.#node.copies.runs.requested(), this.#node.reconciles.requested()]);
    const wishes = new Map<NodeName, Wishes>();
    for (const [edge, { id, tables, direction, terms }] of fills) {
      // edges of an older version know of no verify: see `toldWishes`
      const fill = { run: id.toString(), tables, ...(terms.verify && { verify: true as const }) };
      if (terms.anew) wishes.set(edge, { resync: { ...fill, direction } });
      else wishes.set(edge, direction === "push" ? { full_sync_push: fill } : { full_sync: fill });
    }
    for (const [edge, { id, name, repair, scope }] of compares) {
      // edges of an older version know of no scope: it is told only where it says something
      const reconcile = { run: id.toString(), name, repair, ...(scope !== "all" && { scope }) };
      wishes.set(edge, { ...wishes.get(edge), reconcile });
    }
    this.#last = { beganAt, wishes };
    return this.#last;
  }
}

const idOf = ({ full_sync: fill, full_sync_push: push, resync, reconcile }: Wishes): string =>
  `${fill?.run ?? push?.run ?? resync?.run ?? ""} ${reconcile?.run ?? ""}`;
