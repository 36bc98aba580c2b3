import { TomboloError } from "../change/error.ts";

const WINDOW_MS = 60_000;
/** Wrong secrets that one address may show in a window; a person who mistypes needs fewer. */
const ALLOWED = 20;
/** So that a flood of addresses, or of handles, does not fill the memory. */
const MOST_REMEMBERED = 10_000;
const KNOWN_FOR_MS = 600_000;

interface Window {
  readonly endsAt: number;
  wrong: number;
}

/**
 * Slows down who guesses. 256 random bits are not guessed: this keeps those who try from keeping the database busy. Callers that were right
 * a while ago are let through whatever others do from behind the same address.
 */
export class Guesses {
  readonly #now: () => number;
  readonly #wrong = new Map<string, Window>();
  readonly #known = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Throws `RATE_LIMITED` (retry), before anything is looked up. */
  check(address: string, handle: string): void {
    const window = this.#wrong.get(address);
    const now = this.#now();
    if (window === undefined || window.endsAt <= now || window.wrong < ALLOWED || (this.#known.get(handle) ?? 0) > now) return;
    throw new TomboloError("too many wrong tokens or codes from this address", {
      code: "RATE_LIMITED",
      kind: "retry",
      hint: "Wait a minute.",
    });
  }

  wrong(address: string): void {
    const now = this.#now();
    const window = this.#wrong.get(address);
    if (window !== undefined && window.endsAt > now) window.wrong += 1;
    else remember(this.#wrong, address, { endsAt: now + WINDOW_MS, wrong: 1 });
  }

  right(handle: string): void {
    remember(this.#known, handle, this.#now() + KNOWN_FOR_MS);
  }
}

/** The oldest makes room. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (map.size >= MOST_REMEMBERED && oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}
