import type pg from "pg";
import Cursor from "pg-cursor";

/**
 * The rows of a statement, some at a time, as arrays of text. Nothing else may be asked of the connection before all have been read; who stops
 * earlier closes the connection.
 */
export class RowCursor<Row extends readonly unknown[]> {
  readonly #client: pg.ClientBase;
  readonly #cursor: Cursor<Row>;

  constructor(client: pg.ClientBase, text: string, values: unknown[]) {
    this.#client = client;
    this.#cursor = client.query(new Cursor<Row>(text, values, { rowMode: "array" }));
  }

  /** At most so many; none at the end. */
  read(count: number): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      // the driver's cursor does not tell of a connection that ends between the last row and the server's last word: it would be waited for without end
      const ended = (): void => reject(new Error("Connection terminated unexpectedly"));
      this.#client.once("end", ended);
      this.#cursor
        .read(count)
        .then(resolve, reject)
        .finally(() => this.#client.off("end", ended));
    });
  }
}
