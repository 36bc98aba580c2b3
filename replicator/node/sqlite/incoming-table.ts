import type { TableShape } from "../../change/shape.ts";
import type { TableRule } from "../target.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { IncomingTable } from "./incoming.ts";
import { misfitOf } from "./misfit.ts";
import { readTable } from "./shape.ts";

/** A table of a packet, as this database has it now. */
export function incomingTable(
  connection: Connection,
  { table, shape, rule }: { readonly table: CapturedTable; readonly shape: TableShape; readonly rule: TableRule },
): IncomingTable {
  const local = readTable(connection, table.local);
  return new IncomingTable({ table, strict: local?.strict ?? false, shape, rule, misfit: misfitOf(local, table) });
}

/** One for all changes of a table that came with one shape. */
export class IncomingTables {
  readonly #connection: Connection;
  readonly #known = new Map<string, IncomingTable>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  of(table: CapturedTable, shape: TableShape, rule: TableRule): IncomingTable {
    const id = JSON.stringify(shape);
    const known = this.#known.get(id) ?? incomingTable(this.#connection, { table, shape, rule });
    this.#known.set(id, known);
    return known;
  }
}
