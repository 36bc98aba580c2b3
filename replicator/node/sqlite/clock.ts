/** Milliseconds since 1970, UTC. */
export type Clock = () => number;

/** `2026-01-31T12:00:00.123Z`, as all times are stored here. */
export const isoTime = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** Microseconds since 1970 of a stored time. */
export const microseconds = (iso: string): number => Date.parse(iso) * 1000;

/** A time in microseconds as it is stored; null stays null. */
export const isoOfMicroseconds = (time: number | null): string | null => (time === null ? null : isoTime(time / 1000));
