import { useState } from "preact/hooks";
import { get, post } from "../../api/client.ts";
import type { NotificationTarget, NotificationTest } from "../../api/desk-types.ts";
import { revision } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText, textOf } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { toast, toastError } from "../../components/toast.tsx";
import { formatCount, plural } from "../../format.ts";
import { useLoad } from "../../load.ts";

/** Who is told of what by webhook and mail, what waits for them, and whether a test comes through. */
export function Notifications() {
  const { data, error, reload } = useLoad(
    (signal) => get<{ targets: NotificationTarget[] }>("/v1/notifications", { signal }),
    [],
    [revision.value],
  );
  const [tests, setTests] = useState<readonly NotificationTest[]>([]);
  const test = async (target?: string): Promise<void> => {
    const { results } = await post<{ results: NotificationTest[] }>("/v1/notifications/test", {
      body: target === undefined ? {} : { target },
    });
    setTests((before) => [...before.filter((one) => !results.some((result) => result.target === one.target)), ...results]);
    const refused = results.filter(({ outcome }) => outcome === "failed").length;
    if (refused === 0) toast(`${plural(results.length, "target")} took the test`);
    else toastError(new Error(`${plural(refused, "target")} did not take the test`));
    await reload();
  };
  const targets = data?.targets ?? [];
  return (
    <>
      <PageHead title="Notifications">{targets.length > 1 && mayAct() && <Button onClick={() => test()}>Test all</Button>}</PageHead>
      <p class="muted">
        Whom <code>tombolo run</code> tells when a full sync or a reconcile ends, when a node must be filled anew, and when conflicts wait.
        Targets are in the topology file; a test goes out at once.
      </p>
      <ProblemText error={error} />
      <section class="card">
        {data === null ? (
          error === null && (
            <p class="empty" role="status">
              Asking …
            </p>
          )
        ) : (
          <Table
            caption="Who is told of what"
            rows={targets}
            keyOf={({ target }) => target}
            empty="The topology file names nobody: add `notifications` to it."
            columns={[
              { title: "Target", cell: ({ target }) => target, sort: ({ target }) => target },
              { title: "By", cell: ({ type }) => (type === "email" ? "mail" : "webhook") },
              { title: "Of", cell: ({ events }) => events.map((event) => event.replaceAll("_", " ")).join(", ") },
              { title: "Waiting", align: "end", cell: ({ waiting }) => formatCount(waiting), sort: ({ waiting }) => waiting },
              { title: "Since", cell: ({ oldest_at: at }) => (at === null ? "–" : <Ago at={at} />) },
              { title: "Last error", cell: ({ last_error: failed }) => failed ?? "–" },
              {
                title: "Test",
                cell: ({ target }) => <Test target={target} last={tests.find((one) => one.target === target)} run={test} />,
              },
            ]}
          />
        )}
      </section>
    </>
  );
}

interface TestProps {
  readonly target: string;
  readonly last: NotificationTest | undefined;
  readonly run: (target: string) => Promise<void>;
}

function Test({ target, last, run }: TestProps) {
  return (
    <span class="actions">
      {mayAct() && (
        <Button onClick={() => run(target)} label={`Send a test to ${target}`}>
          Send a test
        </Button>
      )}
      {last?.outcome === "sent" && <Pill state="done">taken</Pill>}
      {last?.error != null && (
        <span>
          <Pill state="failed" /> {textOf(last.error.message)}
        </span>
      )}
      {last === undefined && !mayAct() && "–"}
    </span>
  );
}
