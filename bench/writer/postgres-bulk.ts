import { WIDE_VALUES } from "../stores/tables.ts";
import type { Bulk } from "./protocol.ts";

/** Values of row `i` of `bench`, the same ones as in SQLite. */
export const ROW = (i: string): string =>
  `'customer ' || (${i} % 1000), (${i} % 100000) || '.50', to_timestamp(1767225600 + ${i}), 'order ' || ${i} || ' of the spring sale'`;

const SERIES = "generate_series($1::bigint, $2::bigint) as i";
/** Ids of the blocks of the same size before `$1..$2`. */
const before = (blocks: number): string => `between $1::bigint - ${blocks} * ($2::bigint - $1 + 1) and $2 - ${blocks} * ($2 - $1 + 1)`;

const INSERT_ORDERS = `insert into orders (id, customer, status, items) select i, 'customer ' || (i % 1000), 'new', 5 from ${SERIES}`;
const INSERT_LINES = `insert into order_lines (id, order_id, item, quantity)
  select i * 10 + line, i, 'item ' || ((i + line) % 5000), line from ${SERIES}, generate_series(1, 5) as line`;

const WIDE_INSERT = `insert into wide select ${WIDE_VALUES} from ${SERIES}`;
/** The rows' own element of the array `$3`. */
const BODY = (id: string): string => `($3::text[])[${id} - $1 + 1]`;

/** Statements of one transaction, in order: `$1` and `$2` are the first and last id, `$3` is the pass, or an array of bodies. */
export const POSTGRES_BULK: { readonly [bulk in Bulk]: readonly string[] } = {
  insert: [
    `insert into bench (id, customer, amount, at, note)
       select i, c, a::numeric, t, n from ${SERIES}, lateral (select ${ROW("i")}) as v(c, a, t, n)`,
  ],
  update: ["update bench set amount = amount + 1, note = 'pass ' || $3::text || ' over ' || id where id between $1 and $2"],
  delete: ["delete from bench where id between $1 and $2"],
  orders: [INSERT_ORDERS, INSERT_LINES],
  mixed: [
    INSERT_ORDERS,
    INSERT_LINES,
    `update orders set status = 'paid' where id ${before(1)}`,
    `update order_lines set quantity = quantity + 1 where order_id ${before(1)} and id % 10 in (1, 2)`,
    `delete from order_lines where order_id ${before(2)} and order_id % 10 = 0`,
    `delete from orders where id ${before(2)} and id % 10 = 0`,
  ],
  "wide-insert": [WIDE_INSERT],
  "wide-update": [
    "update wide set n7 = n7 + 1, t3 = 'pass ' || $3::text, t20 = 'pass ' || $3 || ' over ' || id where id between $1 and $2",
  ],
  "large-insert": [`insert into large (id, note, body) select i, 'new', ${BODY("i")} from ${SERIES}`],
  "large-update": [`update large set body = ${BODY("id")} where id between $1 and $2`],
};
