/** Fetches the next item while the one before it is being worked on; never more than that one. */
export async function* readAhead<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const current: IteratorResult<T> = await next;
      if (current.done === true) return;
      next = iterator.next();
      // its rejection is met by the await above, or, when the consumer stops, below
      next.catch(() => undefined);
      yield current.value;
    }
  } finally {
    await next.catch(() => undefined);
    await iterator.return?.();
  }
}
