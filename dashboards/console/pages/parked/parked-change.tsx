import { useState } from "preact/hooks";
import { ApiError, del, get, post } from "../../api/client.ts";
import type { Parked, ParkedDetails } from "../../api/desk-types.ts";
import { revision } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { Facts } from "../../components/facts.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { toast } from "../../components/toast.tsx";
import { keyText } from "../../components/value-text.ts";
import { Versions } from "../../components/versions.tsx";
import { useLoad } from "../../load.ts";
import type { PageProps } from "../../page.ts";
import { hrefTo, navigate, query } from "../../router.ts";
import { parkedPath, parkedQuery } from "./parked-list.tsx";

/** One parked change: what it would do, why it is refused, and what is in its way. */
export function ParkedChange({ params }: PageProps) {
  const { node = "", id = "" } = params;
  const path = `/v1${parkedPath({ node, id })}`;
  const { data, error, reload } = useLoad((signal) => get<ParkedDetails>(path, { signal }), [path], [revision.value]);
  const [failure, setFailure] = useState<unknown>(null);
  const toList = (): void => navigate("/parked", parkedQuery(query.peek()));

  async function attempt(work: () => Promise<void>): Promise<void> {
    setFailure(null);
    try {
      await work();
    } catch (thrown) {
      setFailure(thrown);
    }
  }
  const retry = (): Promise<void> =>
    attempt(async () => {
      const { went_through: wentThrough } = await post<{ went_through: boolean; parked: Parked }>(`${path}/retry`);
      if (wentThrough) {
        toast(`${node}/${id} went through.`);
        toList();
        return;
      }
      toast(`${node}/${id} is still refused.`, "What is in its way is shown below.");
      await reload();
    });
  const discard = async ({ role, peer }: Parked): Promise<void> => {
    const yes = await confirm({
      title: `Discard ${node}/${id}?`,
      body:
        role === "child" ? (
          <p>
            The change of {peer} is given up: it goes into the conflict history, and {peer} is sent the row as it is at {node}.
          </p>
        ) : (
          <p>
            The change is given up, not the row: {node} asks {peer} for the row as it is there.
          </p>
        ),
      action: "Discard the change",
      danger: true,
      keep: "Keep it",
    });
    if (!yes) return;
    await attempt(async () => {
      await del(path);
      toast(`${node}/${id} is discarded.`);
      toList();
    });
  };

  const isGone = error instanceof ApiError && error.code === "PARKED_UNKNOWN";
  return (
    <>
      <PageHead title={`Parked change ${node}/${id}`} above={<a href={hrefTo("/parked", parkedQuery(query.value))}>Parked changes</a>}>
        {data !== null && !isGone && mayAct() && (
          <>
            <Button kind="primary" onClick={retry}>
              Try it again
            </Button>
            <Button kind="danger" onClick={() => discard(data.parked)}>
              Discard
            </Button>
          </>
        )}
      </PageHead>
      <ProblemText error={failure} />
      {isGone ? (
        <p class="banner banner-news" role="status">
          This change is no longer parked: it went through, or somebody discarded it.
        </p>
      ) : (
        <ProblemText error={error} />
      )}
      {data === null ? error === null && <p role="status">Asking {node} …</p> : <Details details={data} />}
    </>
  );
}

function Details({ details: { parked, now, theirs, in_the_way: obstacles } }: { readonly details: ParkedDetails }) {
  const { node, peer, old, new: next } = parked;
  return (
    <>
      <section class="card card-body stack" aria-label="What it is about">
        <p>
          {parked.reason} <code>{parked.code}</code>
        </p>
        <Facts
          facts={[
            ["Kept at", node],
            ["From", `${peer}, its ${parked.role}`],
            ["Table", <code key="table">{parked.table}</code>],
            ["Row", keyText(parked.key)],
            ["Does", parked.op],
            ["Changed", <Ago key="changed" at={parked.changed_at} />],
            ["Parked", <Ago key="parked" at={parked.parked_at} />],
            ["Tries", `${parked.attempts}`],
            ["Last tried", <Ago key="tried" at={parked.tried_at} />],
          ]}
        />
      </section>
      <section class="card" aria-labelledby="way">
        <div class="card-head">
          <h2 id="way">In its way</h2>
        </div>
        {obstacles.length === 0 ? (
          <p class="empty">No row that Tombolo can name. The reason above is what the database says.</p>
        ) : (
          <ul class="obstacles">
            {obstacles.map((obstacle) => (
              <li key={`${obstacle.kind} ${obstacle.constraint} ${JSON.stringify(obstacle.row)}`} class="stack">
                <p>
                  <Pill state={obstacle.kind} tone="warn">
                    {WHAT[obstacle.kind]}
                  </Pill>{" "}
                  <code>{obstacle.table}</code> {obstacle.columns.join(", ")} <span class="muted">by {obstacle.constraint}</span>
                </p>
                <Versions
                  caption={`The row of ${obstacle.table}`}
                  versions={[{ title: obstacle.kind === "missing" ? "Needed" : "Row", row: obstacle.row }]}
                />
                {obstacle.parked !== null && (
                  <p>
                    It comes with parked change{" "}
                    <a href={hrefTo(parkedPath({ node, id: obstacle.parked }), parkedQuery(query.value))}>
                      {node}/{obstacle.parked}
                    </a>
                    , which waits itself.
                  </p>
                )}
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="card" aria-labelledby="versions">
        <div class="card-head">
          <h2 id="versions">The row</h2>
        </div>
        <Versions
          caption="The row before and after the change, and at both ends"
          versions={[
            { title: "Before the change", row: old },
            { title: "The change makes it", row: next, against: old },
            { title: `Now at ${node}`, row: now, against: old ?? next },
            { title: `Now at ${peer}`, row: theirs, against: old ?? next },
          ]}
        />
      </section>
    </>
  );
}

const WHAT = {
  taken: "has the value already",
  missing: "is not there",
  referred: "refers to what is to be deleted",
} as const;
