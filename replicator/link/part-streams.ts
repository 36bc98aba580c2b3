import type { Part } from "../change/packet.ts";

/** An iteration of which the first part has been read. */
export async function* resumed(first: Part, rest: AsyncIterator<Part>): AsyncGenerator<Part> {
  try {
    yield first;
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

export async function* nothing(): AsyncGenerator<Part> {}

/** Notes the time of the oldest change that passes, microseconds since 1970. */
export async function* watched(parts: AsyncIterable<Part>, oldest: { changedAt: number }): AsyncGenerator<Part> {
  for await (const part of parts) {
    for (const change of part) if (change.changedAt < oldest.changedAt) oldest.changedAt = change.changedAt;
    yield part;
  }
}
