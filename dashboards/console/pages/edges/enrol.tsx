import { useState } from "preact/hooks";
import { post } from "../../api/client.ts";
import type { Issued, Topology } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { SelectField, TextField } from "../../components/fields.tsx";
import { ProblemText } from "../../components/problem-text.tsx";

const LIFETIMES: readonly (readonly [seconds: string, text: string])[] = [
  ["3600", "an hour"],
  ["86400", "a day"],
  ["604800", "a week"],
];

/** A one-time code for a new edge, or for one that begins anew. */
export function Enrol({ topology, onIssued }: { readonly topology: Topology; readonly onIssued: (issued: Issued) => void }) {
  const [name, setName] = useState("");
  const [group, setGroup] = useState(topology.groups[0]?.name ?? "");
  const [params, setParams] = useState<Readonly<Record<string, string>>>({});
  const [lifetime, setLifetime] = useState("86400");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const wanted = topology.groups.find((each) => each.name === group)?.params ?? [];

  async function submit(): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      const given = Object.fromEntries(wanted.map((param) => [param, params[param] ?? ""]));
      const body = { role: "node", node: name.trim(), group, params: given, code_lifetime_seconds: Number(lifetime) };
      onIssued(await post<Issued>("/v1/tokens", { body }));
      setName("");
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  }

  if (topology.groups.length === 0) {
    return (
      <p class="empty">
        The topology has no <code>groups</code>, so no edge can enrol.
      </p>
    );
  }
  return (
    <form
      class="card-body stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) void submit();
      }}
    >
      <div class="filters">
        <TextField label="Name of the edge" value={name} onInput={setName} required />
        <SelectField label="Group" value={group} options={topology.groups.map((each) => [each.name, each.name])} onChange={setGroup} />
        {wanted.map((param) => (
          <TextField
            key={param}
            label={param}
            value={params[param] ?? ""}
            onInput={(value) => setParams((all) => ({ ...all, [param]: value }))}
            required
          />
        ))}
        <SelectField label="Good for" value={lifetime} options={LIFETIMES} onChange={setLifetime} />
      </div>
      <ProblemText error={error} />
      <div class="actions">
        <Button type="submit" kind="primary" busy={busy} disabled={name.trim() === ""}>
          Make an enrolment code
        </Button>
        <span class="hint">An edge of this name that enrols anew loses the token that it had.</span>
      </div>
    </form>
  );
}
