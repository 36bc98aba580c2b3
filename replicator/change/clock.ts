/**
 * Bringing the time of a child's change to the parent's clock, for `newest_wins`.
 *
 * A clock that is wrong by a steady amount does no harm: the link measures the offset at every exchange, and it is taken off. What cannot be
 * corrected is a clock that was *set* between the change and the exchange. It shows when the corrected time lies in the
 * future; and the further a clock is off, the sooner someone sets it. Both have a limit, beyond which times are not compared.
 */
export interface ClockLimits {
  /** An offset beyond this is not a skew but a clock that nobody keeps, milliseconds. */
  readonly maxOffsetMs: number;
  /** How far a corrected time may lie ahead of the parent's clock: the error of measuring the offset, milliseconds. */
  readonly maxAheadMs: number;
}

export const CLOCK_LIMITS: ClockLimits = { maxOffsetMs: 3_600_000, maxAheadMs: 60_000 };

/** The measured offset (child's clock minus parent's, milliseconds), or null when times of that child must not be compared. */
export function usableOffset(offsetMs: number | null, limits: ClockLimits = CLOCK_LIMITS): number | null {
  return offsetMs !== null && Math.abs(offsetMs) <= limits.maxOffsetMs ? offsetMs : null;
}

/**
 * When a child made a change, by the parent's clock: microseconds since 1970, or null when that cannot be said.
 * `nowMs` is the parent's clock at the time of judging, milliseconds since 1970.
 */
export function correctedTime(
  changedAt: number,
  { offsetMs, nowMs, limits = CLOCK_LIMITS }: { offsetMs: number | null; nowMs: number; limits?: ClockLimits },
): number | null {
  const offset = usableOffset(offsetMs, limits);
  if (offset === null) return null;
  const corrected = changedAt - Math.round(offset * 1000);
  return corrected > 0 && corrected <= (nowMs + limits.maxAheadMs) * 1000 ? corrected : null;
}

/** One round trip to another clock. */
export interface ClockReading {
  /** When it was asked, by this process's clock, milliseconds since 1970. */
  readonly askedAtMs: number;
  /** What it answered, milliseconds since 1970. */
  readonly answeredMs: number;
  /** How long that took, milliseconds. */
  readonly tookMs: number;
}

/**
 * The other clock minus ours, whole milliseconds, by the fastest of the readings. It is known to half a round trip, and ours tells no more than a
 * millisecond: where both may be the same clock, they are. Else changes of the same moment would be decided by the error of measuring, which
 * on a busy machine is milliseconds.
 */
export function measuredOffset(readings: readonly ClockReading[]): number {
  const fastest = readings.reduce((best, reading) => (reading.tookMs < best.tookMs ? reading : best));
  const half = fastest.tookMs / 2;
  const offset = fastest.answeredMs - (fastest.askedAtMs + 0.5 + half);
  return Math.abs(offset) < 1 + half ? 0 : Math.round(offset);
}
