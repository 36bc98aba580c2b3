import { WIDE_VALUES } from "../stores/tables.ts";
import type { Bulk } from "./protocol.ts";

/** Values of row `i` of `bench`, the same ones as in Postgres. */
const ROW = (i: string): string =>
  `'customer ' || (${i} % 1000), (${i} % 100000) || '.50', strftime('%Y-%m-%d %H:%M:%S+00', 1767225600 + ${i}, 'unixepoch'),
   'order ' || ${i} || ' of the spring sale'`;

const SERIES = "with recursive series(i) as (select :first union all select i + 1 from series where i < :last)";
/** Ids of the blocks of the same size before `:first..:last`. */
const before = (blocks: number): string => `between :first - ${blocks} * (:last - :first + 1) and :last - ${blocks} * (:last - :first + 1)`;

export const ADD_ONE = "amount = cast(cast(amount as integer) + 1 as text) || '.50'";
const INSERT_ORDERS = `insert into orders (id, customer, status, items) ${SERIES}
  select i, 'customer ' || (i % 1000), 'new', 5 from series`;
const INSERT_LINES = `insert into order_lines (id, order_id, item, quantity) ${SERIES}, lines(line) as (values (1), (2), (3), (4), (5))
  select i * 10 + line, i, 'item ' || ((i + line) % 5000), line from series, lines`;

/** Statements of one transaction, in order, with parameters `:first`, `:last` and `:pass`. */
export const SQLITE_BULK: { readonly [bulk in Bulk]: readonly string[] } = {
  insert: [`insert into bench (id, customer, amount, at, note) ${SERIES} select i, ${ROW("i")} from series`],
  update: [`update bench set ${ADD_ONE}, note = 'pass ' || :pass || ' over ' || id where id between :first and :last`],
  delete: ["delete from bench where id between :first and :last"],
  orders: [INSERT_ORDERS, INSERT_LINES],
  mixed: [
    INSERT_ORDERS,
    INSERT_LINES,
    `update orders set status = 'paid' where id ${before(1)}`,
    `update order_lines set quantity = quantity + 1 where order_id ${before(1)} and id % 10 in (1, 2)`,
    `delete from order_lines where order_id ${before(2)} and order_id % 10 = 0`,
    `delete from orders where id ${before(2)} and id % 10 = 0`,
  ],
  "wide-insert": [`insert into wide ${SERIES} select ${WIDE_VALUES} from series`],
  "wide-update": [
    "update wide set n7 = n7 + 1, t3 = 'pass ' || :pass, t20 = 'pass ' || :pass || ' over ' || id where id between :first and :last",
  ],
  "large-insert": [`insert into large (id, note, body) ${SERIES} select i, 'new', hex(randomblob(50000)) from series`],
  "large-update": ["update large set body = hex(randomblob(50000)) where id between :first and :last"],
};
