import type { Row } from "../api/desk-types.ts";
import { DiffSide } from "./diff.tsx";
import { diffWords } from "./diff-words.ts";
import { columnsOf, valueText } from "./value-text.ts";

/** One version of a row. */
export interface Version {
  readonly title: string;
  /** Null where there is no row; a column that it lacks is not known. */
  readonly row: Row | null;
  /** What the version is measured against: what it has and that does not is marked. */
  readonly against?: Row | null;
}

export interface VersionsProps {
  /** What the table is of, for screen readers. */
  readonly caption: string;
  readonly versions: readonly Version[];
  /** Columns that are not the same in all of them; found by comparing where it is not said. */
  readonly differing?: readonly string[];
  /** Only these columns; all where it is not said. */
  readonly only?: readonly string[] | null;
}

/** Versions of one row side by side, a line for each column; on a narrow screen a card for each column. */
export function Versions({ caption, versions, differing, only = null }: VersionsProps) {
  const columns = columnsOf(versions.map(({ row }) => row)).filter((column) => only === null || only.includes(column));
  const different = new Set(differing ?? differingColumns(versions));
  return (
    <div class="table-wrap">
      <table class="table versions">
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Column</th>
            {versions.map(({ title }) => (
              <th scope="col" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {columns.map((column) => (
            <tr key={column} class={different.has(column) ? "differs" : undefined}>
              <th scope="row">
                <code>{column}</code>
                {different.has(column) && <span class="small differs-word">differs</span>}
              </th>
              {versions.map(({ title, row, against = null }) => (
                <td key={title} data-label={title}>
                  <Cell row={row} column={column} against={against} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ row, column, against }: { readonly row: Row | null; readonly column: string; readonly against: Row | null }) {
  if (row === null) return <span class="muted">no row</span>;
  if (!Object.hasOwn(row, column)) return <span class="muted">not known</span>;
  const text = valueText(row[column]);
  if (text === null) return <span class="muted">null</span>;
  const before = against !== null && Object.hasOwn(against, column) ? valueText(against[column]) : undefined;
  if (before === undefined || before === text) return <span class="diff-text">{text}</span>;
  return <DiffSide parts={diffWords(before ?? "", text)} side="after" />;
}

/** Columns that the versions that are rows, and hold the column, do not agree about. */
function differingColumns(versions: readonly Version[]): readonly string[] {
  return columnsOf(versions.map(({ row }) => row)).filter((column) => {
    const known = versions.flatMap(({ row }) => (row !== null && Object.hasOwn(row, column) ? [JSON.stringify(row[column])] : []));
    return new Set(known).size > 1;
  });
}
