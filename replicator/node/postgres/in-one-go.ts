import type { Writable } from "node:stream";
import type pg from "pg";

/** What the driver has and its types hide. */
interface Driven {
  pipeline: boolean;
  readonly connection: { readonly stream: Writable };
}

/**
 * Sends statements without waiting for the answers between them, in one write: what takes a round trip each otherwise takes one together. `ask` asks
 * all of them before it returns, in the order in which the server shall see them; each is parsed for itself, so prepared statements may be among them.
 * Throws the first error: in a transaction, those after it only say that there was one. Nobody else may use the connection meanwhile; COPY and cursors
 * are not for this.
 */
export async function inOneGo<T extends readonly unknown[]>(
  client: pg.ClientBase,
  ask: () => { readonly [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  const driven = client as unknown as Driven;
  const { stream } = driven.connection;
  driven.pipeline = true;
  stream.cork();
  try {
    const asked = ask();
    stream.uncork();
    const answers = await Promise.allSettled(asked);
    const failed = answers.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
    if (failed !== undefined) throw failed.reason;
    return answers.map((answer) => (answer as PromiseFulfilledResult<unknown>).value) as unknown as T;
  } finally {
    driven.pipeline = false;
  }
}
