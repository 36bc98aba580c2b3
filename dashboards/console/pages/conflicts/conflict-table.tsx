import type { Conflict } from "../../api/desk-types.ts";
import { Ago } from "../../components/ago.tsx";
import { Pill } from "../../components/pill.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { keyText } from "../../components/value-text.ts";
import { hrefTo, query } from "../../router.ts";
import { conflictName, conflictPath, filterQuery } from "./conflict-filter.ts";
import { kindText, resolutionText } from "./words.ts";

export interface ConflictTableProps {
  readonly conflicts: readonly Conflict[];
  /** Null where nothing may be done. */
  readonly selected: ReadonlySet<string> | null;
  readonly onSelect: (name: string, isSelected: boolean) => void;
  readonly onMore: (() => Promise<void>) | undefined;
  readonly empty: string;
}

export function ConflictTable({ conflicts, selected, onSelect, onMore, empty }: ConflictTableProps) {
  const choosing: readonly Column<Conflict>[] =
    selected === null
      ? []
      : [
          {
            title: "Select",
            cell: (conflict) =>
              conflict.status !== "open" ? null : (
                <input
                  type="checkbox"
                  class="select-box"
                  aria-label={`Select conflict ${conflictName(conflict)}`}
                  checked={selected.has(conflictName(conflict))}
                  onChange={({ currentTarget }) => onSelect(conflictName(conflict), currentTarget.checked)}
                />
              ),
          },
        ];
  const columns: readonly Column<Conflict>[] = [
    ...choosing,
    {
      title: "Conflict",
      cell: (conflict) => <a href={hrefTo(conflictPath(conflict), filterQuery(query.value))}>{conflictName(conflict)}</a>,
    },
    { title: "Detected", cell: ({ detected_at: at }) => <Ago at={at} /> },
    { title: "Table", cell: ({ table }) => <code>{table}</code> },
    { title: "Row", cell: ({ key }) => keyText(key) },
    { title: "Child", cell: ({ child }) => child },
    { title: "Kind", cell: ({ kind }) => kindText(kind) },
    { title: "State", cell: ({ status }) => <Pill state={status} /> },
    { title: "Outcome", cell: (conflict) => resolutionText(conflict) },
  ];
  return (
    <Table
      caption="Conflicts, newest first"
      columns={columns}
      rows={conflicts}
      keyOf={conflictName}
      pageSize={50}
      empty={empty}
      onMore={onMore}
    />
  );
}
