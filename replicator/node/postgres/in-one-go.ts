import type { Writable } from "node:stream";
import pg from "pg";

/** One statement as the driver runs it; its types do not show how. */
interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly _result: { _types: unknown };
  submit(connection: Connection): Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleError(error: unknown, connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
}

interface Connection {
  readonly stream: Writable;
  readonly submittedNamedStatements: { [name: string]: string };
  sync(): void;
}

const StatementOf = pg.Query as unknown as new (
  config: pg.QueryConfig & { readonly queryMode: "extended" },
  values: readonly unknown[] | undefined,
  callback: (error: unknown, result: pg.QueryResult) => void,
) => Statement;

/**
 * Sends statements without waiting for the answers between them, in one message: what takes a round trip each otherwise takes one together, and the server
 * answers all at once. `ask` asks what it is given, in the order in which the server shall see it, before it returns; each is one statement, and may be prepared.
 * When one fails, those after it are not done (their errors have its error as `cause`): a transaction that has not begun is not written in. Throws the first error.
 */
export async function inOneGo<T extends readonly unknown[]>(
  client: pg.ClientBase,
  ask: (go: pg.ClientBase) => { readonly [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  const batch = new Batch((client as unknown as { readonly _types: unknown })._types);
  const asked = ask({ query: batch.query } as unknown as pg.ClientBase);
  const settled = Promise.allSettled(asked);
  client.query(batch as unknown as pg.Submittable);
  const answers = await settled;
  const failed = answers.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
  if (failed !== undefined) throw failed.reason;
  return answers.map((answer) => (answer as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

/** To the driver, all of it is one query. */
class Batch {
  readonly #types: unknown;
  readonly #statements: Statement[] = [];
  #at = 0;

  constructor(types: unknown) {
    this.#types = types;
  }

  readonly query = (config: string | pg.QueryConfig, values?: readonly unknown[]): Promise<pg.QueryResult> =>
    new Promise((resolve, reject) => {
      const given = typeof config === "string" ? { text: config } : config;
      const statement = new StatementOf({ ...given, queryMode: "extended" }, values, (error, result) =>
        error == null ? resolve(result) : reject(error),
      );
      statement._result._types = this.#types;
      this.#statements.push(statement);
    });

  /** Of the statement that is answered now: the driver notes what is prepared. */
  get name(): string | undefined {
    return this.#current?.name;
  }

  get text(): string | undefined {
    return this.#current?.text;
  }

  get #current(): Statement | undefined {
    return this.#statements[this.#at];
  }

  submit(connection: Connection): Error | null {
    // the server takes what comes before a sync as one
    const unsynced = Object.create(connection, { sync: { value: () => undefined } }) as Connection;
    connection.stream.cork();
    try {
      for (const statement of this.#statements) {
        const refused = statement.submit(unsynced);
        if (refused !== null) throw refused;
      }
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.#current?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#current?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    const statement = this.#current;
    statement?.handleCommandComplete(message, connection);
    this.#at += 1;
    statement?.handleReadyForQuery(connection);
  }

  handleError(error: unknown, connection: Connection): void {
    const [failed, ...behind] = this.#statements.slice(this.#at);
    failed?.handleError(error, connection);
    for (const statement of behind) {
      if (statement.name !== undefined) delete connection.submittedNamedStatements[statement.name];
      statement.handleError(new Error("not done: a statement before it failed", { cause: error }), connection);
    }
    this.#at = this.#statements.length;
  }

  handleReadyForQuery(): void {}
}
