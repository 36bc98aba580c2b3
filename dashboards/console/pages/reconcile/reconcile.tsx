import { get, post } from "../../api/client.ts";
import type { NotAsked, ReconcileRun, Schedule } from "../../api/desk-types.ts";
import { revision, status } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { useTopology } from "../../api/topology.ts";
import { Ago, nowMs } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { NotAskedBanner } from "../../components/not-asked.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { toast } from "../../components/toast.tsx";
import { formatCount, formatDuration, formatMoment } from "../../format.ts";
import { useLoad } from "../../load.ts";
import { query, setQuery } from "../../router.ts";
import { Examples } from "./examples.tsx";
import { Outcome, RunNow } from "./run-now.tsx";

interface Runs {
  readonly runs: readonly ReconcileRun[];
  readonly not_asked: NotAsked;
}

const MOST = 200;

/** When links are compared, what was found, and comparing now. */
export function Reconcile() {
  const topology = useTopology();
  const schedules = useLoad(
    (signal) => get<{ schedules: readonly Schedule[] }>("/v1/reconcile-schedules", { signal }),
    [],
    [revision.value],
  );
  const runs = useLoad((signal) => get<Runs>("/v1/reconcile-runs", { query: { limit: MOST }, signal }), [], [revision.value]);
  const reload = async (): Promise<void> => void (await Promise.all([schedules.reload(), runs.reload()]));
  const wanted = query.value.get("run");
  const shown = runs.data?.runs.find((run) => runName(run) === wanted) ?? null;
  return (
    <>
      <PageHead title="Reconcile">
        <Button onClick={reload}>Reload</Button>
      </PageHead>
      <p class="muted">Both ends of a link are compared row by row while they are written to, and what differs is reported or repaired.</p>
      <ProblemText error={schedules.error ?? runs.error} />
      <NotAskedBanner nodes={runs.data?.not_asked ?? []} />
      <section class="card" aria-labelledby="schedules">
        <div class="card-head">
          <h2 id="schedules">Schedules</h2>
        </div>
        <Table
          caption="Schedules"
          rows={schedules.data?.schedules ?? []}
          keyOf={({ name }) => name}
          empty={
            schedules.data === null ? (
              "Asking the hub …"
            ) : (
              <>
                The topology has no <code>reconcile</code>: nothing is compared by itself.
              </>
            )
          }
          columns={[
            { title: "Schedule", cell: ({ name }) => <strong>{name}</strong> },
            {
              title: "When",
              cell: ({ cron, timezone }) => (
                <span>
                  <code>{cron}</code> <span class="muted small">{timezone}</span>
                </span>
              ),
            },
            { title: "Next", cell: ({ next_at: at }) => <Until at={at} /> },
            { title: "Links", cell: ({ links }) => (links === null ? "all, edges as well" : links.join(", ")) },
            { title: "What differs", cell: ({ repair }) => REPAIR_TEXT[repair] },
            { title: "Rows", cell: ({ scope }) => (scope === "all" ? "all" : "changed ones") },
            {
              title: "Last",
              cell: ({ last }) =>
                last === null ? (
                  <span class="muted">never</span>
                ) : (
                  <span>
                    <Outcome state={last.state} /> <Ago at={last.started_at} />
                  </span>
                ),
            },
          ]}
        />
      </section>
      {mayAct() && topology !== null && (
        <RunNow key={query.value.get("link") ?? ""} topology={topology} link={query.value.get("link")} onDone={reload} />
      )}
      {shown !== null && <RunCard run={shown} onCancelled={reload} />}
      <section class="card" aria-labelledby="history">
        <div class="card-head">
          <h2 id="history">History</h2>
        </div>
        <Table
          caption="Comparisons, newest first"
          rows={runs.data?.runs ?? []}
          keyOf={runName}
          pageSize={25}
          empty={runs.data === null ? "Asking the nodes …" : "Nothing has been compared yet."}
          columns={[
            {
              title: "Link",
              cell: (run) => (
                <Button
                  kind="quiet"
                  label={`${run.node}/${run.peer}: show the comparison of ${formatMoment(run.started_at)}`}
                  onClick={() => setQuery({ run: runName(run) === wanted ? null : runName(run) }, { push: true })}
                >
                  {run.node}/{run.peer}
                </Button>
              ),
              sort: ({ node, peer }) => `${node}/${peer}`,
            },
            { title: "Began", cell: ({ started_at: at }) => <Ago at={at} />, sort: ({ started_at: at }) => at },
            { title: "Asked by", cell: ({ name }) => (name === "manual" ? "a person" : name), sort: ({ name }) => name },
            { title: "What differs", cell: ({ repair }) => REPAIR_TEXT[repair] ?? repair },
            { title: "Outcome", cell: ({ state }) => <Outcome state={state} />, sort: ({ state }) => state },
            { title: "Compared", align: "end", cell: (run) => formatCount(sum(run, "compared")), sort: (run) => sum(run, "compared") },
            { title: "Differ", align: "end", cell: (run) => formatCount(sum(run, "differing")), sort: (run) => sum(run, "differing") },
            { title: "Repaired", align: "end", cell: (run) => formatCount(sum(run, "repaired")), sort: (run) => sum(run, "repaired") },
            { title: "Took", align: "end", cell: took },
          ]}
        />
      </section>
    </>
  );
}

const REPAIR_TEXT: Readonly<Record<string, string>> = { report: "reported", parent: "the parent's wins", newest: "the newest wins" };

const runName = ({ node, id }: ReconcileRun): string => `${node}/${id}`;

const sum = ({ tables }: ReconcileRun, of: "compared" | "differing" | "repaired"): number =>
  tables.reduce((total, table) => total + table[of], 0);

const took = ({ started_at: from, finished_at: to }: ReconcileRun): string =>
  to === null ? "–" : formatDuration((Date.parse(to) - Date.parse(from)) / 1000);

/** How long it is until something is; the moment on hovering. */
function Until({ at }: { readonly at: string | null }) {
  if (at === null) return <span class="muted">never</span>;
  const seconds = Math.max(0, Math.round((Date.parse(at) - nowMs.value) / 1000));
  return (
    <time dateTime={at} title={formatMoment(at)}>
      in {formatDuration(seconds)}
    </time>
  );
}

const IN_HAND = new Set(["requested", "running"]);

async function cancelEdge(run: ReconcileRun, onCancelled: () => Promise<void>): Promise<void> {
  const body = <p>{run.peer} gives it up when it next comes. What it has repaired by then stays so.</p>;
  if (!(await confirm({ title: "Cancel this comparison?", body, action: "Cancel the comparison", keep: "Let it go on", danger: true })))
    return;
  await post(`/v1/reconcile-runs/${run.id}/cancel`, { query: { node: run.node } });
  toast("The comparison is cancelled");
  await onCancelled();
}

/** One comparison, table by table. */
function RunCard({ run, onCancelled }: { readonly run: ReconcileRun; readonly onCancelled: () => Promise<void> }) {
  const link = `${run.node}/${run.peer}`;
  // whoever compares what is reached directly is the one to stop
  const isEdge = status.value?.edges.some(({ parent, edge }) => parent === run.node && edge === run.peer) ?? false;
  const differs = sum(run, "differing") > sum(run, "repaired");
  return (
    <section class="card" aria-labelledby="run">
      <div class="card-head">
        <h2 id="run">
          {link}, {formatMoment(run.started_at)} <Outcome state={run.state} />
        </h2>
        <span class="actions">
          {isEdge && mayAct() && IN_HAND.has(run.state) && (
            <Button kind="danger" onClick={() => cancelEdge(run, onCancelled)}>
              Cancel …
            </Button>
          )}
          {differs && mayAct() && <Button onClick={() => setQuery({ link })}>Compare this link</Button>}
          <Button kind="quiet" onClick={() => setQuery({ run: null })}>
            Close
          </Button>
        </span>
      </div>
      {run.error !== null && (
        <p class="card-note">
          It did not come to its end: <code>{run.error}</code>
        </p>
      )}
      <Table
        caption={`What was found at ${link}`}
        rows={run.tables}
        keyOf={({ table }) => table}
        empty="No table was compared."
        columns={[
          { title: "Table", cell: ({ table }) => <code>{table}</code>, sort: ({ table }) => table },
          { title: "Compared", align: "end", cell: ({ compared }) => formatCount(compared) },
          { title: "Differ", align: "end", cell: ({ differing }) => formatCount(differing), sort: ({ differing }) => differing },
          { title: "Repaired", align: "end", cell: ({ repaired }) => formatCount(repaired) },
          { title: "Under way", align: "end", cell: ({ under_way: underWay }) => formatCount(underWay) },
          { title: "Parked", align: "end", cell: ({ parked }) => formatCount(parked) },
          {
            title: "Notes",
            wide: true,
            cell: ({ table, examples, error, whole }) => (
              <div>
                {error !== null && <code>{error}</code>}
                {whole !== null && <span class="small muted">all rows were compared: {whole.replaceAll("_", " ")}</span>}
                <Examples link={link} table={table} keys={examples} />
              </div>
            ),
          },
        ]}
      />
    </section>
  );
}
