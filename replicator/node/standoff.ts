/** What keeps a refused change from going through. `releases` are the other changes that would clear it away; none when nobody here does. */
export interface Obstacle<T> {
  readonly releases: readonly T[];
}

/**
 * Refused changes that only stand in each other's way: each of their obstacles is cleared by another of them. They may go through together;
 * the others wait for something that is not here, or for one that does.
 */
export function standoff<T>(obstacles: ReadonlyMap<T, readonly Obstacle<T>[]>): Set<T> {
  const together = new Set(obstacles.keys());
  const waitsFor = new Map<T, Set<T>>();
  for (const [item, those] of obstacles) {
    for (const { releases } of those) {
      for (const other of releases) waitsFor.set(other, (waitsFor.get(other) ?? new Set()).add(item));
    }
  }
  const hopeless = (item: T): boolean => (obstacles.get(item) ?? []).some(({ releases }) => !releases.some((other) => together.has(other)));
  const queue = [...together];
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    if (!together.has(item) || !hopeless(item)) continue;
    together.delete(item);
    queue.push(...(waitsFor.get(item) ?? []));
  }
  return together;
}
