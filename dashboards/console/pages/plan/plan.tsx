import { get } from "../../api/client.ts";
import type { Plan as Planned } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Pill, type Tone } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { toast } from "../../components/toast.tsx";
import { formatCount, plural } from "../../format.ts";
import { useLoad } from "../../load.ts";
import { query, setQuery } from "../../router.ts";

type NodePlan = Planned["nodes"][number];
type Finding = NodePlan["findings"][number];

const SIGNS = { create: "+", change: "~", drop: "−" } as const;
const TONES: Readonly<Record<Finding["severity"], Tone>> = { error: "bad", warning: "warn", ok: "good" };

/** What the topology file and the databases disagree about. It is looked at here, and done with `tombolo apply`. */
export function Plan() {
  const withContacts = query.value.get("contacts") === "yes";
  const { data, error, isLoading, reload } = useLoad(
    (signal) => get<Planned>("/v1/plan", { query: { first_contacts: withContacts ? true : null }, signal }),
    [withContacts],
  );
  const nodes = data === null ? [] : [...data.nodes].sort((a, b) => weight(b) - weight(a));
  const settled = (data?.nodes ?? []).filter((node) => weight(node) <= WARNED);
  return (
    <>
      <PageHead title="Plan">
        <Button onClick={reload}>Look again</Button>
      </PageHead>
      <p class="muted">
        What <code>tombolo apply</code> would do so that each database is as the topology file says. Nothing is done from here.
      </p>
      <ProblemText error={error} />
      {data === null ? (
        error === null && (
          <p role="status">Asking the databases{withContacts ? ", and counting rows; that may take half a minute" : ""} …</p>
        )
      ) : (
        <>
          <p role="status" aria-busy={isLoading}>
            {settled.length === nodes.length
              ? "Every database is as the topology says."
              : `${settled.length} of ${plural(nodes.length, "database")} are as the topology says.`}
          </p>
          {nodes
            .filter((node) => weight(node) > 0)
            .map((node) => (
              <NodeCard key={node.name} node={node} />
            ))}
          {settled.length > 0 && settled.length < nodes.length && (
            <p class="muted">Nothing to do at {settled.map(({ name }) => name).join(", ")}.</p>
          )}
          {withContacts ? (
            <Contacts contacts={data.first_contacts} />
          ) : (
            <div class="actions">
              <Button onClick={() => setQuery({ contacts: "yes" })}>Count what first contacts will find</Button>
            </div>
          )}
        </>
      )}
    </>
  );
}

const told = ({ findings }: NodePlan): readonly Finding[] => findings.filter(({ severity }) => severity !== "ok");

/** Nothing is to be done; there may be something to know. */
const WARNED = 1;

/** What needs a person most comes first. */
function weight(node: NodePlan): number {
  if (node.error !== null) return 4;
  if (node.findings.some(({ severity }) => severity === "error")) return 3;
  if (node.steps.length > 0) return 2;
  return told(node).length > 0 ? WARNED : 0;
}

function NodeCard({ node }: { readonly node: NodePlan }) {
  const { name, engine, error, steps } = node;
  const sql = steps.map(({ action, object, sql: text }) => `-- ${action} ${object}\n${ended(text)}`).join("\n\n");
  const findings = told(node);
  return (
    <section class="card" aria-labelledby={`plan-${name}`}>
      <div class="card-head">
        <h2 id={`plan-${name}`}>
          {name} <span class="muted small">{engine}</span>
        </h2>
        <span class="muted">
          {error !== null ? "cannot be planned" : steps.length === 0 ? "nothing to do" : plural(steps.length, "step")}
        </span>
      </div>
      <div class="card-body stack">
        {error !== null && (
          <div class="problem">
            <p>{error.message}</p>
            {error.hint !== null && <p class="muted">{error.hint}</p>}
            <code class="small">{error.code}</code>
          </div>
        )}
        {findings.length > 0 && (
          <ul class="stack">
            {findings.map((finding) => (
              <li key={`${finding.code} ${finding.table} ${finding.message}`}>
                <Pill state={finding.severity} tone={TONES[finding.severity]} /> {finding.table !== null && <code>{finding.table}</code>}{" "}
                {finding.message} <code class="small muted">{finding.code}</code>
                {finding.hint !== null && <p class="hint">{finding.hint}</p>}
              </li>
            ))}
          </ul>
        )}
        {steps.length > 0 && (
          <ul class="plan-steps">
            {steps.map(({ action, object, sql: text }) => (
              <li key={`${action} ${object}`}>
                <details>
                  <summary>
                    <span class={`plan-sign plan-${action}`} aria-hidden="true">
                      {SIGNS[action]}
                    </span>{" "}
                    {action} {object}
                  </summary>
                  <pre class="sql">{ended(text)}</pre>
                </details>
              </li>
            ))}
          </ul>
        )}
        {steps.length > 0 && (
          <div class="actions">
            <Button onClick={() => copy(sql)}>Copy all the SQL</Button>
            <span class="muted small">
              or run <code>tombolo apply --node {name}</code>
            </span>
          </div>
        )}
      </div>
    </section>
  );
}

const ended = (sql: string): string => (/;\s*$/.test(sql) ? sql.trimEnd() : `${sql.trimEnd()};`);

async function copy(sql: string): Promise<void> {
  await navigator.clipboard.writeText(sql);
  toast("The SQL is in the clipboard.");
}

function Contacts({ contacts }: { readonly contacts: Planned["first_contacts"] }) {
  const rows = contacts.flatMap(({ parent, child, tables }) => tables.map((table) => ({ parent, child, ...table })));
  return (
    <section class="card" aria-labelledby="contacts">
      <div class="card-head">
        <h2 id="contacts">First contacts</h2>
        <span class="muted small">tables of which both ends hold rows that have not met yet</span>
      </div>
      <Table
        caption="What first contacts will find"
        rows={rows}
        keyOf={({ parent, child, table }) => `${parent}/${child} ${table}`}
        empty="No link has a first contact before it."
        columns={[
          { title: "Link", cell: ({ parent, child }) => `${parent}/${child}` },
          { title: "Table", cell: ({ table }) => <code>{table}</code>, wide: true },
          { title: "Equal", align: "end", cell: ({ equal }) => formatCount(equal) },
          { title: "Differ", align: "end", cell: ({ differ }) => formatCount(differ) },
          { title: "Only at the parent", align: "end", cell: ({ only_parent: only }) => formatCount(only) },
          { title: "Only at the child", align: "end", cell: ({ only_child: only }) => formatCount(only) },
          { title: "Counted", cell: ({ partial }) => (partial ? "the first rows" : "all rows") },
        ]}
      />
    </section>
  );
}
