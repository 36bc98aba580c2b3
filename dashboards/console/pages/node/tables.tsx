import { useState } from "preact/hooks";
import { tablesOf } from "../../api/act.ts";
import { revision } from "../../api/live.ts";
import type { CapturedTable } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText, textOf } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { useLoad } from "../../load.ts";

/** What is captured, in which shape, and what is no longer as it was installed. */
export function Tables({ node }: { readonly node: string }) {
  const { data, error } = useLoad((signal) => tablesOf(node, signal), [node], [revision.value]);
  const [shown, setShown] = useState<CapturedTable | null>(null);
  return (
    <section class="card" aria-labelledby="tables">
      <div class="card-head">
        <h2 id="tables">Captured tables</h2>
      </div>
      <ProblemText error={error} />
      {data === null && error === null && <p class="empty">Asking the database …</p>}
      {data !== null && (
        <Table
          caption={`Captured tables of ${node}`}
          rows={data.toSorted((one, other) => Number(isWell(one)) - Number(isWell(other)))}
          keyOf={({ table }) => table}
          empty="Nothing is captured here."
          columns={[
            { title: "Table", wide: true, sort: ({ table }) => table, cell: (table) => <TableName table={table} /> },
            { title: "Channel", sort: ({ channel }) => channel, cell: ({ channel }) => channel },
            {
              title: "State",
              sort: stateOf,
              cell: (table) => <Pill state={stateOf(table)} tone={isWell(table) ? "good" : "bad"} />,
            },
            { title: "Key", cell: ({ key }) => <code>{key.join(", ")}</code> },
            { title: "Columns", align: "end", sort: ({ columns }) => columns.length, cell: (table) => columnsButton(table) },
          ]}
        />
      )}
      {shown !== null && <Shape table={shown} onClose={() => setShown(null)} />}
    </section>
  );

  function columnsButton(table: CapturedTable) {
    return (
      <Button kind="quiet" label={`${table.columns.length} columns of ${table.table}`} onClick={() => setShown(table)}>
        {table.columns.length}
      </Button>
    );
  }
}

const isWell = ({ state, drift }: CapturedTable): boolean => state === "live" && drift === null;
const stateOf = ({ state, drift }: CapturedTable): string => (state === "live" && drift !== null ? "drifted" : state);

function TableName({ table: { table, reason, meaning, drift } }: { readonly table: CapturedTable }) {
  return (
    <>
      <strong>{table}</strong>
      {reason !== null && (
        <p class="small">
          {meaning ?? textOf(reason)} {meaning !== null && <code>{reason}</code>}
        </p>
      )}
      {drift !== null && (
        <>
          <p class="small">
            {textOf(drift.message)} <code>{drift.code}</code>
          </p>
          {drift.hint !== null && <p class="small muted">{textOf(drift.hint)}</p>}
        </>
      )}
    </>
  );
}

function Shape({ table, onClose }: { readonly table: CapturedTable; readonly onClose: () => void }) {
  return (
    <Dialog title={table.table} onClose={onClose}>
      <Table
        caption={`Columns of ${table.table}`}
        rows={table.columns}
        keyOf={({ name }) => name}
        columns={[
          { title: "Column", wide: true, cell: ({ name }) => <code>{name}</code> },
          { title: "Type", cell: ({ type }) => type },
          { title: "Null", cell: ({ not_null: not }) => (not ? "no" : "yes") },
          { title: "Key", cell: ({ name }) => (table.key.includes(name) ? "yes" : "") },
        ]}
      />
      <p class="small muted">
        Shape <code>{table.hash}</code>
      </p>
      <div class="actions actions-end">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}
