import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { Pill } from "../../components/pill.tsx";
import { Table } from "../../components/table.tsx";
import { formatBytes, formatCount, formatDuration } from "../../format.ts";
import { Arrow } from "./order-form.tsx";
import { roles } from "./partners.ts";
import { cancelRun, type Phase, type Run, startFullSync } from "./run-store.ts";

const STEPS: readonly (readonly [Phase, string])[] = [
  ["prepare", "Prepare"],
  ["copy", "Copy"],
  ["apply", "Compare with what is there"],
  ["hand_over", "Hand over"],
  ["verify", "Verify"],
];

/** The full sync that this page has started, step by step. */
export function RunView({ run }: { readonly run: Run }) {
  const { order, progress, end, differences, log, startedAt } = run;
  const [parent = "", child = ""] = order.link.split("/");
  const { source, target } = roles({ parent, child }, order.direction);
  return (
    <section class="card" aria-labelledby="running">
      <div class="card-head">
        <h2 id="running">
          <Arrow from={source} to={target} /> <StateOf run={run} />
        </h2>
        {end === null && (
          <Button kind="danger" onClick={() => cancel(target)}>
            Cancel …
          </Button>
        )}
      </div>
      <div class="card-body stack">
        {end === null && order.isEdge !== true && <p class="small muted">It lives as long as this page: closing the tab cancels it.</p>}
        {progress?.state === "requested" && <p>{child} has been asked, and has not come yet.</p>}
        <Steps run={run} />
        <Numbers run={run} />
        {end !== null && <Outcome run={run} target={target} />}
        {differences !== null && differences.length > 0 && (
          <Table
            caption={`What becomes different at ${target}`}
            rows={differences}
            keyOf={({ table }) => table}
            columns={[
              { title: "Table", wide: true, cell: ({ table }) => table },
              { title: "Added", align: "end", cell: ({ added }) => formatCount(added) },
              { title: "Changed", align: "end", cell: ({ changed }) => formatCount(changed) },
              { title: "Removed", align: "end", cell: ({ removed }) => formatCount(removed) },
            ]}
          />
        )}
        <details>
          <summary>
            Log, begun <Ago at={new Date(startedAt).toISOString()} />
          </summary>
          <ol class="log small">
            {log.map(({ at, text }, index) => (
              <li key={`${at} ${index}`}>
                <time dateTime={new Date(at).toISOString()}>{new Date(at).toLocaleTimeString("en-GB")}</time> {text}
              </li>
            ))}
          </ol>
        </details>
      </div>
    </section>
  );
}

function StateOf({ run: { end } }: { readonly run: Run }) {
  if (end === null) return <Pill state="running" />;
  return <Pill state={end.kind === "done" ? (end.result.state ?? "done") : end.kind} />;
}

function Steps({ run: { order, progress, end } }: { readonly run: Run }) {
  const steps = STEPS.filter(([phase]) => phase !== "verify" || order.verify);
  const isDone = end?.kind === "done" && end.result.state === "done";
  const at = isDone ? steps.length : steps.findIndex(([phase]) => phase === (progress?.phase ?? "prepare"));
  return (
    <ol class="steps">
      {steps.map(([phase, text], index) => {
        const state = index < at ? "done" : index > at ? "to come" : end === null ? "now" : "ended here";
        return (
          <li key={phase} class={`step step-${state.split(" ")[0]}`} aria-current={state === "now" ? "step" : undefined}>
            <span class="step-sign" aria-hidden="true">
              {state === "done" ? "✓" : index + 1}
            </span>
            {text}
            <span class="visually-hidden">: {state}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Numbers({ run: { progress, end } }: { readonly run: Run }) {
  if (progress === null) return end === null ? <p role="status">Asking both databases …</p> : null;
  const { rows, bytes, estimated_rows: estimated, rate, seconds_left: left, phase } = progress;
  const isCopying = end === null && phase === "copy";
  return (
    <>
      {isCopying && estimated > 0 && (
        <progress class="bar" value={Math.min(rows, estimated)} max={estimated} aria-label="Rows that are copied" />
      )}
      <dl class="facts">
        <div>
          <dt>Rows</dt>
          <dd>
            {formatCount(rows)}
            {estimated > 0 && <span class="muted"> of about {formatCount(Math.max(estimated, rows))}</span>}
          </dd>
        </div>
        <div>
          <dt>Bytes</dt>
          <dd>{formatBytes(bytes)}</dd>
        </div>
        {isCopying && (
          <>
            <div>
              <dt>Rate</dt>
              <dd>{rate === null ? "–" : `${formatCount(rate)} rows/s`}</dd>
            </div>
            <div>
              <dt>Time left</dt>
              <dd>{left === null ? "–" : `about ${formatDuration(left)}`}</dd>
            </div>
          </>
        )}
      </dl>
    </>
  );
}

function Outcome({ run, target }: { readonly run: Run; readonly target: string }) {
  const { end, order, differences } = run;
  if (end === null) return null;
  if (end.kind === "failed") {
    return (
      <div class="problem" role="alert">
        <p>{end.problem.detail}</p>
        {end.problem.hint !== null && <p>{end.problem.hint}</p>}
        <p class="small">
          <code>{end.problem.code}</code>
        </p>
        {order.isEdge !== true && (
          <p>
            <Button onClick={() => startFullSync({ ...order, resume: true, beginAnew: false })}>Resume it</Button>
          </p>
        )}
      </div>
    );
  }
  if (end.kind === "cancelled") return <p role="status">Cancelled. The tables of {target} are as they were.</p>;
  const { state, rows, seconds, added = 0, changed = 0, removed = 0, parked = 0, differences: differing, backup } = end.result;
  if (state !== "done") {
    const wouldLose = (differences ?? []).some((each) => each.changed + each.removed > 0);
    return (
      <div class="stack" role="status">
        <p>
          {wouldLose
            ? `Nothing was changed: rows of ${target} would have been replaced or removed.`
            : `It ended as ${state ?? "unknown"}${end.result.error ? `: ${end.result.error}` : ""}.`}
        </p>
        {wouldLose && (
          <p>
            <Button kind="danger" onClick={() => startFullSync({ ...order, replaceRows: true, resume: false })}>
              Start again, and replace them
            </Button>
          </p>
        )}
      </div>
    );
  }
  return (
    <div role="status">
      <p>
        {target} is a copy: {formatCount(rows)} rows read{seconds !== undefined && `, in ${formatDuration(seconds)}`}; {formatCount(added)}{" "}
        added, {formatCount(changed)} changed, {formatCount(removed)} removed{parked > 0 && `, ${formatCount(parked)} parked`}.
      </p>
      {differing !== null && differing !== undefined && (
        <p>
          {differing === 0
            ? "Both sides are the same."
            : `${formatCount(differing)} rows differ: they were written to meanwhile, or see Reconcile.`}
        </p>
      )}
      {backup && (
        <p class="small">
          The file as it was before: <code>{backup}</code>
        </p>
      )}
    </div>
  );
}

async function cancel(target: string): Promise<void> {
  const agreed = await confirm({
    title: "Cancel this full sync?",
    body: <p>What was copied is thrown away. The tables of {target} stay as they are.</p>,
    action: "Cancel the full sync",
    keep: "Let it go on",
    danger: true,
  });
  if (agreed) cancelRun();
}
