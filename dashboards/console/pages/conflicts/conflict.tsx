import { useEffect, useState } from "preact/hooks";
import { type Answer, ApiError, request } from "../../api/client.ts";
import type { ShownConflict } from "../../api/desk-types.ts";
import { revision } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { Facts } from "../../components/facts.tsx";
import { CheckField } from "../../components/fields.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { toast } from "../../components/toast.tsx";
import { keyText } from "../../components/value-text.ts";
import { Versions } from "../../components/versions.tsx";
import { useLoad } from "../../load.ts";
import type { PageProps } from "../../page.ts";
import { hrefTo, navigate, query } from "../../router.ts";
import { conflictName, conflictPath, fetchConflicts, filterOf, filterQuery } from "./conflict-filter.ts";
import { Decide, type Decision } from "./decide.tsx";
import { kindText, resolutionText, TAKE_TEXT } from "./words.ts";

type Seen = Answer<ShownConflict>;

export function ConflictPage({ params }: PageProps) {
  const { node = "", id = "" } = params;
  const path = `/v1${conflictPath({ node, id })}`;
  const loaded = useLoad<Seen>((signal) => request("GET", path, { signal }), [path], [revision.value]);
  // What is shown does not change under the hand of whoever decides: a decision is about what was seen.
  const [seen, setSeen] = useState<Seen | null>(null);
  const [meanwhile, setMeanwhile] = useState(false);
  useEffect(() => setSeen((before) => before ?? loaded.data), [loaded.data]);
  const isOld = seen !== null && loaded.data !== null && !loaded.isLoading && loaded.data.etag !== seen.etag;

  async function show(): Promise<void> {
    setMeanwhile(false);
    setSeen(await request<ShownConflict>("GET", path));
    await loaded.reload();
  }

  async function decide(decision: Decision, etag: string | null): Promise<boolean> {
    setMeanwhile(false);
    try {
      await request("POST", `${path}/resolve`, { body: decision, ...(etag === null ? {} : { ifMatch: etag }) });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412) throw error;
      // the refusal brings the conflict as it is now
      setSeen({ data: error.problem as unknown as ShownConflict, etag: error.etag });
      setMeanwhile(true);
      await loaded.reload();
      return false;
    }
    toast(`Conflict ${node}/${id} is decided: ${"take" in decision ? TAKE_TEXT[decision.take] : "the values given"}. It replicates.`);
    await show();
    return true;
  }

  return (
    <>
      <PageHead title={`Conflict ${node}/${id}`} above={<a href={hrefTo("/conflicts", filterQuery(query.value))}>Conflicts</a>}>
        {seen !== null && <Pill state={seen.data.conflict.status} />}
        <Button onClick={() => goToNext(node, id)}>Next open conflict</Button>
      </PageHead>
      {seen === null ? (
        loaded.error === null ? (
          <p role="status">Asking {node} …</p>
        ) : (
          <ProblemText error={loaded.error} />
        )
      ) : (
        <>
          {meanwhile && <Meanwhile shown={seen.data} />}
          {isOld && (
            <div class="banner banner-news" role="status">
              {loaded.data?.data.conflict.status === "resolved" && seen.data.conflict.status === "open"
                ? `${loaded.data.data.conflict.resolved_by ?? "Somebody"} has decided this conflict since you opened it.`
                : "This conflict, or its row, has changed since you opened it."}{" "}
              <Button kind="quiet" onClick={show}>
                Show it as it is now
              </Button>
            </div>
          )}
          <About shown={seen.data} />
          <RowCard shown={seen.data} />
          {mayAct() && <Decide seen={seen} onDecide={decide} />}
        </>
      )}
    </>
  );
}

/** The next that waits for a person, of those that the filter of the address lets through; after the oldest comes the newest. */
async function goToNext(node: string, id: string): Promise<void> {
  const filter = { ...filterOf(query.peek()), status: "open" as const };
  const own = conflictName({ node, id });
  for (const before of [[own], null]) {
    const { conflicts } = await fetchConflicts(filter, { limit: 2, before });
    const next = conflicts.find((each) => conflictName(each) !== own);
    if (next !== undefined) return navigate(conflictPath(next), filterQuery(query.peek()));
  }
  toast("No other conflict waits for a person.");
}

/** Nothing was done, since what was decided about is no longer so. */
function Meanwhile({ shown: { conflict } }: { readonly shown: ShownConflict }) {
  const isDecided = conflict.status === "resolved";
  return (
    <div class="problem" role="alert">
      <p>
        <strong>Nothing was done.</strong>{" "}
        {isDecided
          ? `${conflict.resolved_by ?? "Somebody"} decided this conflict meanwhile: ${resolutionText(conflict)}.`
          : "The row has changed since you saw it."}{" "}
        Below is how it is now; decide again if that is still right.
      </p>
      <p class="muted small">
        <code>CONFLICT_DECIDED</code> (412)
      </p>
    </div>
  );
}

function About({ shown: { conflict } }: { readonly shown: ShownConflict }) {
  return (
    <section class="card card-body stack" aria-label="What it is about">
      <p>{conflict.reason}</p>
      <Facts
        facts={[
          ["Table", <code key="table">{conflict.table}</code>],
          ["Row", keyText(conflict.key)],
          ["Kind", kindText(conflict.kind)],
          ["Parent", conflict.node],
          ["Child", conflict.child],
          ["Policy", conflict.policy.replaceAll("_", " ")],
          ["Contested", conflict.columns === null ? "the row as a whole" : conflict.columns.join(", ")],
          ["Detected", <Ago key="detected" at={conflict.detected_at} />],
          ["Parent changed it", conflict.parent_changed_at === null ? null : <Ago key="parent" at={conflict.parent_changed_at} />],
          ["Child changed it", conflict.child_changed_at === null ? null : <Ago key="child" at={conflict.child_changed_at} />],
          ["Outcome", resolutionText(conflict)],
          ["Decided by", conflict.resolved_by],
          ["Decided", conflict.resolved_at === null ? null : <Ago key="resolved" at={conflict.resolved_at} />],
        ]}
      />
    </section>
  );
}

function RowCard({ shown }: { readonly shown: ShownConflict }) {
  const { conflict, now, now_error: unreadable, differing } = shown;
  const [onlyDiffering, setOnlyDiffering] = useState(false);
  const { base_row: base, parent_row: parent, child_row: child, result_row: result } = conflict;
  return (
    <section class="card" aria-labelledby="versions">
      <div class="card-head">
        <h2 id="versions">The row, version by version</h2>
        <CheckField label="Only columns that differ" checked={onlyDiffering} onChange={setOnlyDiffering} />
      </div>
      <Versions
        caption={`Versions of the row of conflict ${conflictName(conflict)}`}
        differing={differing}
        only={onlyDiffering ? differing : null}
        versions={[
          { title: "Base (before both)", row: base },
          { title: `Parent (${conflict.node})`, row: parent, against: base },
          { title: `Child (${conflict.child})`, row: child, against: base ?? parent },
          { title: "Result", row: result, against: base ?? parent },
          ...(unreadable === null ? [{ title: "Now", row: now, against: result }] : []),
        ]}
      />
      <p class="small muted card-note">
        Marked is what a version has and the base has not; in “Now”, what has changed since the conflict was left or decided.
      </p>
      {unreadable !== null && (
        <p class="card-note">
          The row cannot be read now: {unreadable.message} <code>{unreadable.code}</code>
        </p>
      )}
    </section>
  );
}
