import { useState } from "preact/hooks";
import { post } from "../../api/client.ts";
import type { ComparedRows } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { Versions } from "../../components/versions.tsx";

type Key = readonly (string | null)[];

export interface ExamplesProps {
  /** PARENT/CHILD. */
  readonly link: string;
  readonly table: string;
  readonly keys: readonly Key[];
}

/** Some of the rows that differed, by their keys; as both ends have them now, where they are asked for. */
export function Examples({ link, table, keys }: ExamplesProps) {
  const [rows, setRows] = useState<ComparedRows["rows"] | null>(null);
  if (keys.length === 0) return null;
  const [parent = "", child = ""] = link.split("/");
  const action = rows !== null ? "Look again" : keys.length === 1 ? "Show this row" : "Show these rows";
  const show = async (): Promise<void> => {
    // keys may be as good as values: they go in the body, never in an address
    const answer = await post<ComparedRows>("/v1/reconcile-rows", { body: { link, table, keys } });
    setRows(answer.rows);
  };
  return (
    <div class="stack examples">
      <p class="small">
        Such as{" "}
        {keys.map((key, at) => (
          <span key={JSON.stringify(key)}>
            {at > 0 && ", "}
            <code>{keyText(key)}</code>
          </span>
        ))}{" "}
        <Button kind="quiet" label={`${action}: ${table}, ${link}`} onClick={show}>
          {action}
        </Button>
      </p>
      {rows?.map((row) => (
        <div key={JSON.stringify(row.key)} class="card">
          <p class="card-note">
            <code>{keyText(row.key)}</code> {row.same && <span class="muted">is the same at both ends by now</span>}
          </p>
          {!row.same && (
            <Versions
              caption={`The row ${keyText(row.key)} of ${table} at both ends`}
              versions={[
                { title: parent, row: row.parent },
                { title: child, row: row.child, against: row.parent },
              ]}
            />
          )}
        </div>
      ))}
    </div>
  );
}

/** Keys of one column as they are, longer ones with commas. */
const keyText = (key: Key): string => key.map((part) => part ?? "null").join(", ");
