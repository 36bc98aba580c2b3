import { useEffect, useRef, useState } from "preact/hooks";
import type { Topology } from "../../api/desk-types.ts";
import { status } from "../../api/live.ts";
import { tableNames } from "../../api/topology.ts";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { SelectField } from "../../components/fields.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { formatCount, plural } from "../../format.ts";
import { type ComparedLink, type CompareProgress, type CompareRequest, compare, guardedDeletes } from "./compare-run.ts";
import { Examples } from "./examples.tsx";

export interface RunNowProps {
  readonly topology: Topology;
  /** Of a record that somebody wants repaired. */
  readonly link: string | null;
  readonly onDone: () => Promise<void>;
}

type Repair = CompareRequest["repair"];

const REPAIRS: readonly (readonly [Repair, string])[] = [
  ["report", "Is reported"],
  ["parent", "Becomes the parent's"],
  ["newest", "Becomes the newest"],
];

/** Compares now, and repairs where that is wished; a repair that would delete many rows asks first. */
export function RunNow({ topology, link: wantedLink, onDone }: RunNowProps) {
  const [link, setLink] = useState(wantedLink ?? "");
  const [table, setTable] = useState("");
  const [repair, setRepair] = useState<Repair>("report");
  const [scope, setScope] = useState<CompareRequest["scope"]>("all");
  const [progress, setProgress] = useState<CompareProgress | null>(null);
  const [links, setLinks] = useState<readonly ComparedLink[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const alive = useRef(true);
  useEffect(
    () => () => {
      alive.current = false;
    },
    [],
  );
  // leaving the page cancels the run, as closing the request does
  useEffect(() => () => running?.abort(), [running]);

  const edges = (status.value?.edges ?? []).map(({ parent, edge }) => `${parent}/${edge}`);
  const isEdge = edges.includes(link);
  const names = [
    ...topology.links.filter(({ transport }) => transport === "direct").map(({ parent, child }) => `${parent}/${child}`),
    ...edges,
  ];

  async function run(request: CompareRequest, before: readonly ComparedLink[] = []): Promise<void> {
    const controller = new AbortController();
    const found: ComparedLink[] = [];
    setRunning(controller);
    setError(null);
    setProgress(null);
    setLinks([...before]);
    try {
      await compare(request, {
        signal: controller.signal,
        onProgress: setProgress,
        onLink: (done) => {
          found.push(done);
          setLinks([...before, ...found]);
        },
      });
    } catch (thrown) {
      if (!controller.signal.aborted) setError(thrown);
    }
    if (!alive.current) return;
    setRunning(null);
    setProgress(null);
    await onDone();
    await askGuarded(request, found);
  }

  /** The guard's question: a parent that was emptied by mistake must not empty its children unasked. */
  async function askGuarded(request: CompareRequest, found: readonly ComparedLink[]): Promise<void> {
    for (const each of found) {
      const deletes = guardedDeletes(each);
      if (deletes === 0) continue;
      const name = `${each.parent}/${each.child}`;
      const yes = await confirm({
        title: `Delete up to ${plural(deletes, "row")} of a table at ${each.child}?`,
        body: (
          <>
            <p>
              The repair of {name} was stopped: {each.child} has rows that {each.parent} has not, more than a repair deletes unasked. If{" "}
              {each.parent} has lost them by mistake, they would be gone at {each.child}, too.
            </p>
            <ul>
              {each.tables
                .filter(({ only_at_child: only = 0 }) => only > 0)
                .map(({ table: one, only_at_child: only }) => (
                  <li key={one}>
                    <code>{one}</code>: {plural(only ?? 0, "row")} only at {each.child}
                  </li>
                ))}
            </ul>
          </>
        ),
        action: "Delete them",
        danger: true,
        keep: "Leave them",
      });
      if (yes)
        return run(
          { ...request, links: [name], maxDeletes: deletes },
          found.filter((other) => other !== each),
        );
    }
  }

  return (
    <section class="card" aria-labelledby="run-now">
      <div class="card-head">
        <h2 id="run-now">Compare now</h2>
      </div>
      <form
        class="card-body stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (running !== null) return;
          void run({
            links: link === "" ? null : [link],
            tables: table === "" || isEdge ? null : [table],
            ...{ repair, scope },
            maxDeletes: null,
          });
        }}
      >
        <div class="filters">
          <SelectField
            label="Link"
            value={link}
            options={[["", "All direct links"], ...names.map((name) => [name, name] as const)]}
            onChange={setLink}
          />
          {!isEdge && (
            <SelectField
              label="Table"
              value={table}
              options={[["", "All tables"], ...tableNames(topology).map((name) => [name, name] as const)]}
              onChange={setTable}
            />
          )}
          <SelectField label="What differs" value={repair} options={REPAIRS} onChange={(value) => setRepair(value as Repair)} />
          <SelectField
            label="Rows"
            value={scope}
            options={[
              ["all", "All rows"],
              ["changed", "Changed since last time"],
            ]}
            onChange={(value) => setScope(value as CompareRequest["scope"])}
          />
        </div>
        <div class="actions">
          <Button type="submit" kind="primary" busy={running !== null}>
            {repair === "report" ? "Compare" : "Compare and repair"}
          </Button>
          {running !== null && (
            <Button kind="danger" onClick={() => running.abort()}>
              Cancel
            </Button>
          )}
          {isEdge && <span class="hint">An edge compares itself when it next comes. Leaving the page does not stop it.</span>}
        </div>
        <p role="status" class={running === null ? "visually-hidden" : undefined}>
          {running === null
            ? ""
            : progress === null
              ? "Comparing …"
              : `${progress.link}, ${progress.table}: ${formatCount(progress.rows)} rows compared …`}
        </p>
        <ProblemText error={error} />
      </form>
      {links !== null && links.length > 0 && (
        <div class="card-body stack">
          {links.map((each) => (
            <LinkResult key={`${each.parent}/${each.child}`} result={each} />
          ))}
        </div>
      )}
    </section>
  );
}

function LinkResult({ result }: { readonly result: ComparedLink }) {
  const { parent, child, outcome, tables, error } = result;
  const name = `${parent}/${child}`;
  return (
    <section class="stack" aria-label={`What came of ${name}`}>
      <p>
        <strong>{name}</strong> <Outcome state={outcome} />
      </p>
      {error !== null && <p>{typeof error === "string" ? error : `${error.message} (${error.code})`}</p>}
      <ul class="stack">
        {tables.map((table) => (
          <li key={table.table}>
            <p>
              <code>{table.table}</code>: {formatCount(table.compared)} compared, {formatCount(table.differing)} differ
              {table.repaired > 0 && `, ${formatCount(table.repaired)} repaired`}
              {table.under_way > 0 && `, ${formatCount(table.under_way)} with news under way`}
              {table.parked > 0 && `, ${formatCount(table.parked)} with a change parked`}
            </p>
            {table.error !== null && (
              <p class="small">
                {typeof table.error === "string" ? <code>{table.error}</code> : `${table.error.message} (${table.error.code})`}
              </p>
            )}
            <Examples link={name} table={table.table} keys={table.examples.map(({ key }) => key)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

const TONES: Readonly<Record<string, "good" | "busy" | "warn" | "bad" | "idle">> = {
  clean: "good",
  repaired: "good",
  drift: "warn",
  stopped: "warn",
  failed: "bad",
  running: "busy",
  requested: "busy",
};

const WORDS: Readonly<Record<string, string>> = { clean: "equal", drift: "differs", stopped: "asks first" };

/** How a comparison ended, in a word. */
export const Outcome = ({ state }: { readonly state: string }) => (
  <Pill state={state} tone={TONES[state] ?? "idle"}>
    {WORDS[state] ?? state}
  </Pill>
);
