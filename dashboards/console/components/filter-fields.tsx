import { query, setQuery } from "../router.ts";
import { SelectField, TextField } from "./fields.tsx";

/** A filter that stands in the address under `name`. */
export function TextFilter(props: { readonly name: string; readonly label: string; readonly type?: "search" | "date" }) {
  const { name, label, type = "search" } = props;
  return (
    <TextField label={label} type={type} value={query.value.get(name) ?? ""} onInput={(value) => setQuery({ [name]: value || null })} />
  );
}

/** The same, of a few; what the address says is offered even where nobody knows it. */
export function SelectFilter(props: {
  readonly name: string;
  readonly label: string;
  readonly all: string;
  readonly options: readonly (readonly [value: string, text: string])[];
}) {
  const { name, label, all, options } = props;
  const value = query.value.get(name) ?? "";
  const known = value === "" || options.some(([each]) => each === value) ? options : [...options, [value, value] as const];
  return (
    <SelectField label={label} value={value} options={[["", all], ...known]} onChange={(next) => setQuery({ [name]: next || null })} />
  );
}
