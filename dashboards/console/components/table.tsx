import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { formatCount } from "../format.ts";
import { Button } from "./button.tsx";

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ComponentChildren;
  readonly align?: "end";
  /** By what the rows may be ordered. */
  readonly sort?: (row: T) => string | number | null;
  /** Takes what room there is. */
  readonly wide?: boolean;
}

export interface TableProps<T> {
  /** What the table is of, for screen readers. */
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly empty?: ComponentChildren;
  /** Rows that are shown at once. */
  readonly pageSize?: number;
  /** Where the hub has more than was fetched. */
  readonly onMore?: (() => Promise<unknown>) | undefined;
}

/** Rows in pages, so that ten thousand of them are as quick as ten; on a narrow screen each row is a card of its own. */
export function Table<T>({ caption, columns, rows, keyOf, empty = "Nothing to show.", pageSize = 100, onMore }: TableProps<T>) {
  const [order, setOrder] = useState<{ readonly title: string; readonly down: boolean } | null>(null);
  const [page, setPage] = useState(0);
  const sorted = orderBy(rows, columns.find(({ title }) => title === order?.title)?.sort, order?.down ?? false);
  const pages = Math.max(1, Math.ceil(rows.length / pageSize));
  const current = Math.min(page, pages - 1);
  const shown = sorted.slice(current * pageSize, (current + 1) * pageSize);
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    <div class="table-wrap">
      <table class="table">
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, align, sort, wide }) => {
              const isOrder = order?.title === title;
              const next = { title, down: isOrder ? !order.down : false };
              return (
                <th
                  key={title}
                  scope="col"
                  class={cellClass(align, wide)}
                  aria-sort={isOrder ? (order.down ? "descending" : "ascending") : undefined}
                >
                  {sort === undefined ? (
                    title
                  ) : (
                    <button type="button" class="sort" onClick={() => setOrder(next)}>
                      {title} <span aria-hidden="true">{isOrder ? (order.down ? "↓" : "↑") : ""}</span>
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, cell, align, wide }) => (
                <td key={title} data-label={title} class={cellClass(align, wide)}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {(pages > 1 || onMore !== undefined) && (
        <nav class="pager" aria-label={`Pages of: ${caption}`}>
          <span class="muted">
            {formatCount(current * pageSize + 1)}–{formatCount(current * pageSize + shown.length)} of {formatCount(rows.length)}
            {onMore !== undefined && " or more"}
          </span>
          <span class="actions">
            <Button disabled={current === 0} onClick={() => setPage(current - 1)}>
              Previous
            </Button>
            <Button disabled={current >= pages - 1 && onMore === undefined} onClick={() => nextPage()}>
              Next
            </Button>
          </span>
        </nav>
      )}
    </div>
  );

  async function nextPage(): Promise<void> {
    if (current >= pages - 1) await onMore?.();
    setPage(current + 1);
  }
}

const cellClass = (align: "end" | undefined, wide = false): string | undefined =>
  [align === "end" ? "end" : "", wide ? "wide" : ""].filter(Boolean).join(" ") || undefined;

function orderBy<T>(rows: readonly T[], by: ((row: T) => string | number | null) | undefined, down: boolean): readonly T[] {
  if (by === undefined) return rows;
  const compare = (one: T, other: T): number => {
    const [a, b] = [by(one), by(other)];
    // what is not known comes last, either way
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    const result = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return down ? -result : result;
  };
  return rows.toSorted(compare);
}
