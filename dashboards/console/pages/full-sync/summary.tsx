import { plural } from "../../format.ts";
import { type Partners, roles } from "./partners.ts";
import type { Direction } from "./run-store.ts";

interface SummaryProps {
  readonly partners: Partners;
  readonly direction: Direction;
  readonly tables: readonly string[] | null;
  readonly verify: boolean;
  readonly backup: boolean;
  readonly replaceRows: boolean;
}

/** What is going to happen, before it does. */
export function Summary({ partners, direction, tables, verify, backup, replaceRows }: SummaryProps) {
  const { source, target } = roles(partners, direction);
  const what = tables === null ? "All tables that travel this way" : plural(tables.length, "table");
  return (
    <section class="summary" aria-labelledby="summary">
      <h2 id="summary">What will happen</h2>
      <ol>
        {partners.isEdge && <li>{partners.child} is asked, and begins when it next comes.</li>}
        {backup && <li>The file of {target} is copied.</li>}
        <li>
          {what} of {source} {tables === null || tables.length !== 1 ? "are" : "is"} copied to a place of {target} where nobody sees them.
          Both go on being written to.
        </li>
        <li>
          {replaceRows
            ? `${target} becomes what ${source} is, in one transaction: rows that only ${target} has go, others are replaced. The conflict history of ${target} keeps them.`
            : `If ${target} would only gain rows, it gets them, in one transaction. If it would lose any, you see how many, and nothing changes.`}
        </li>
        <li>
          Changes of {target} that {source} has not seen yet stay, and are judged afterwards.
        </li>
        {verify && <li>Both sides are compared, row by row.</li>}
      </ol>
    </section>
  );
}
