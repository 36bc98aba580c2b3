import "./full-sync.css";
import { status } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { PageHead } from "../../components/page-head.tsx";
import { OrderForm } from "./order-form.tsx";
import { RecentRuns } from "./recent-runs.tsx";
import { isRunning, run } from "./run-store.ts";
import { RunView } from "./run-view.tsx";

/** Making a node a copy of its neighbour: choosing, watching, and what was. */
export function FullSyncPage() {
  const now = status.value;
  return (
    <>
      <PageHead title="Full sync" />
      <p class="muted lead">
        Makes one node a copy of its neighbour while both are written to. Nothing of the target changes before everything is there; then one
        transaction makes it so.
      </p>
      {run.value !== null && <RunView run={run.value} />}
      {now === null ? (
        <p role="status">Asking the databases …</p>
      ) : (
        <>
          {mayAct() && !isRunning.value && <OrderForm status={now} />}
          {!mayAct() && <p>Starting one takes the role of an operator.</p>}
          <RecentRuns status={now} />
        </>
      )}
    </>
  );
}
