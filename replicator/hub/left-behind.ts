import { elapsedMs } from "../change/elapsed.ts";
import type { EdgePlace } from "./edge-desk.ts";

/** A run that came to nothing is not asked for again at once. */
const AGAIN_MS = 300_000;
/** An edge goes on by itself with what it has begun, for as long as the log is kept for that. */
const GOES_ON_MS = 24 * 3_600_000;
/** What an edge says that has just been filled may be from before. */
const JUST_NOW_MS = 120_000;
const MOST_RUNS = 200;
const BY = "the hub: its log no longer reaches back to where the edge stopped";

/**
 * An edge that stayed away for longer than the log is kept: it is asked for a full sync, which brings in chunks what a packet would have to bring as a whole. What it has
 * written itself goes up before, as ever.
 */
export class LeftBehind {
  /** It was, when it was last looked. */
  isLeft = false;
  /** The wish is new. */
  hasAsked = false;
  /** What the edge said of itself when it began to wait is no longer so. */
  isOver = false;
  #times = 0;
  readonly #place: EdgePlace;

  constructor(place: EdgePlace) {
    this.#place = place;
  }

  async noted(): Promise<void> {
    this.isLeft = true;
    this.#times += 1;
    const { node, link, news } = this.#place;
    const { runs } = node.copies;
    const peer = link.child;
    if ((await runs.requested()).has(peer)) return;
    const last = (await runs.list(MOST_RUNS)).find((run) => run.peer === peer && run.side === "source");
    const age = last === undefined ? Number.POSITIVE_INFINITY : elapsedMs(Date.parse(last.finishedAt ?? last.startedAt), Date.now());
    if (last?.state === "done" && age < JUST_NOW_MS) {
      this.isOver = this.#times > 1;
      return;
    }
    if (last !== undefined && last.state !== "done" && age < (last.finishedAt === null ? GOES_ON_MS : AGAIN_MS)) return;
    await runs.request({ peer, side: "source", direction: "pull", tables: [...news.tables] }, BY);
    this.hasAsked = true;
  }
}
