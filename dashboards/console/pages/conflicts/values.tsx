import { useId, useState } from "preact/hooks";
import type { Conflict, Row } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { columnsOf, valueText } from "../../components/value-text.ts";

type Given = Readonly<Record<string, string | null>>;

export interface ValuesProps {
  readonly conflict: Conflict;
  readonly now: Row | null;
  readonly onLook: (set: Given) => Promise<void>;
  readonly onDecide: (set: Given) => Promise<void>;
}

/** The row's columns to be written in; only what is changed is sent. */
export function Values({ conflict, now, onLook, onDecide }: ValuesProps) {
  const before = now ?? conflict.child_row ?? conflict.parent_row ?? conflict.base_row ?? {};
  const contested = conflict.columns ?? [];
  const names = columnsOf([before])
    .filter((name) => !Object.hasOwn(conflict.key, name))
    // a blob has no text that could be given
    .filter((name) => typeof before[name] !== "object" || before[name] === null)
    .sort((a, b) => Number(contested.includes(b)) - Number(contested.includes(a)));
  const [given, setGiven] = useState<Given>({});
  const isNothing = Object.keys(given).length === 0;
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isNothing) void onLook(given);
      }}
    >
      <div class="values">
        {names.map((name) => (
          <ValueField
            key={name}
            name={name}
            isContested={contested.includes(name)}
            before={valueText(before[name])}
            value={Object.hasOwn(given, name) ? (given[name] ?? null) : valueText(before[name])}
            onChange={(value) => setGiven((all) => ({ ...all, [name]: value }))}
          />
        ))}
      </div>
      <div class="actions">
        <Button type="submit" disabled={isNothing}>
          Look at it
        </Button>
        <Button kind="primary" disabled={isNothing} onClick={() => onDecide(given)}>
          Decide for these values
        </Button>
      </div>
    </form>
  );
}

interface ValueFieldProps {
  readonly name: string;
  readonly isContested: boolean;
  readonly before: string | null;
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
}

function ValueField({ name, isContested, before, value, onChange }: ValueFieldProps) {
  const id = useId();
  const rows = Math.min(
    6,
    Math.max(1, ...[before ?? "", value ?? ""].map((text) => text.split("\n").length + Math.floor(text.length / 70))),
  );
  return (
    <div class="field">
      <label for={id}>
        {name}
        {isContested && <span class="muted"> (contested)</span>}
      </label>
      <textarea
        id={id}
        rows={rows}
        value={value ?? ""}
        placeholder={value === null ? "null" : ""}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
      <label class="small null-choice">
        <input
          type="checkbox"
          checked={value === null}
          onChange={({ currentTarget }) => onChange(currentTarget.checked ? null : (before ?? ""))}
        />{" "}
        null
        <span class="visually-hidden"> for {name}</span>
      </label>
    </div>
  );
}
