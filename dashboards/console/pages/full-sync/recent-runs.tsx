import { get, post } from "../../api/client.ts";
import { revision } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import type { FullSyncRun, Status } from "../../api/types.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { toast } from "../../components/toast.tsx";
import { formatBytes, formatCount, formatDuration, formatMoment } from "../../format.ts";
import { useLoad } from "../../load.ts";
import { Arrow } from "./order-form.tsx";
import { isRunning } from "./run-store.ts";

const MOST = 20;
const IN_HAND = new Set(["requested", "running"]);

/** What was, is, or is to be: as the parents have it in their books, whoever started it. */
export function RecentRuns({ status }: { readonly status: Status }) {
  const up = new Set(status.nodes.filter(({ state }) => state === "up").map(({ name }) => name));
  const parents = [...new Set([...status.links, ...status.edges].map(({ parent }) => parent))].filter((name) => up.has(name));
  // each look at the status is one at these: what somebody else runs moves on without an event
  const { data, error, reload } = useLoad((signal) => runsOf(parents, signal), parents, [status.at, revision.value, isRunning.value]);
  return (
    <section class="card" aria-labelledby="recent">
      <div class="card-head">
        <h2 id="recent">Recent</h2>
      </div>
      <ProblemText error={error} />
      {data !== null && data.length === 0 && <p class="empty">There has been none yet.</p>}
      <ul class="runs">
        {data?.map((run) => (
          <li key={`${run.node} ${run.id}`}>
            <Entry run={run} onCancelled={reload} />
          </li>
        ))}
      </ul>
    </section>
  );
}

async function runsOf(parents: readonly string[], signal: AbortSignal): Promise<readonly FullSyncRun[]> {
  const answers = await Promise.all(
    parents.map((node) => get<{ runs: FullSyncRun[] }>("/v1/full-sync-runs", { query: { node, limit: MOST }, signal })),
  );
  const runs = answers.flatMap(({ runs }) => runs);
  return runs.toSorted((one, other) => Date.parse(other.started_at) - Date.parse(one.started_at)).slice(0, MOST);
}

function Entry({ run, onCancelled }: { readonly run: FullSyncRun; readonly onCancelled: () => Promise<void> }) {
  const [source, target] = run.side === "source" ? [run.node, run.peer] : [run.peer, run.node];
  const isInHand = IN_HAND.has(run.state);
  return (
    <details class="run">
      <summary>
        <span class="run-names">
          <Arrow from={source} to={target} />
        </span>
        <Pill state={run.state} />
        <span class="small muted num">{formatCount(run.rows)} rows</span>
        <span class="small muted run-when">
          <Ago at={run.finished_at ?? run.started_at} />
        </span>
      </summary>
      <div class="stack run-body">
        {run.error !== null && <p class="problem">{run.error}</p>}
        <dl class="facts">
          <div>
            <dt>Started</dt>
            <dd>{formatMoment(run.started_at)}</dd>
          </div>
          <div>
            <dt>Took</dt>
            <dd>{run.finished_at === null ? "–" : formatDuration((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000)}</dd>
          </div>
          <div>
            <dt>{isInHand ? "Step" : "Last step"}</dt>
            <dd>{run.phase.replaceAll("_", " ")}</dd>
          </div>
          <div>
            <dt>Rows</dt>
            <dd>
              {formatCount(run.rows)}
              {run.estimated_rows > 0 && ` of about ${formatCount(Math.max(run.estimated_rows, run.rows))}`}
            </dd>
          </div>
          <div>
            <dt>Bytes</dt>
            <dd>{formatBytes(run.bytes)}</dd>
          </div>
          <div>
            <dt>Run by</dt>
            <dd>{run.holder}</dd>
          </div>
        </dl>
        {run.differing !== null && (
          <p class="small">Compared afterwards: {run.differing === 0 ? "equal" : `${formatCount(run.differing)} rows differed`}</p>
        )}
        <p class="small">Tables: {run.tables.join(", ")}</p>
        {mayAct() && isInHand && (run.state === "requested" || run.holder.startsWith("edge ")) && (
          <p>
            <Button kind="danger" onClick={() => cancelEdge(run, onCancelled)}>
              Cancel …
            </Button>
          </p>
        )}
      </div>
    </details>
  );
}

async function cancelEdge(run: FullSyncRun, onCancelled: () => Promise<void>): Promise<void> {
  const body = <p>{run.peer} gives it up when it next comes. The tables stay as they are.</p>;
  if (!(await confirm({ title: "Cancel this full sync?", body, action: "Cancel the full sync", keep: "Let it go on", danger: true })))
    return;
  await post(`/v1/full-sync-runs/${run.id}/cancel`, { query: { node: run.node } });
  toast("The full sync is cancelled");
  await onCancelled();
}
