/**
 * Milliseconds between two moments of a wall clock, for what is done again after a while. A clock that was set back in between does not say how long it has been: long
 * enough, so that nothing waits until the clock has come to where it was.
 */
export const elapsedMs = (since: number, now: number): number => (now < since ? Number.POSITIVE_INFINITY : now - since);
