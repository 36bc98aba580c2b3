import { get } from "../../api/client.ts";
import type { NotAsked, Parked } from "../../api/desk-types.ts";
import { revision } from "../../api/live.ts";
import { asOptions, tableNames, useTopology } from "../../api/topology.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { SelectFilter } from "../../components/filter-fields.tsx";
import { NotAskedBanner } from "../../components/not-asked.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { keyText } from "../../components/value-text.ts";
import { useLoad } from "../../load.ts";
import { hrefTo, query } from "../../router.ts";

interface Page {
  readonly parked: readonly Parked[];
  readonly more: readonly string[];
  readonly not_asked: NotAsked;
}

/** Of each node; oldest first, so that what blocks others comes before them. */
const MOST = 1_000;

export const parkedPath = ({ node, id }: Pick<Parked, "node" | "id">): string =>
  `/parked/${encodeURIComponent(node)}/${encodeURIComponent(id)}`;

export const parkedQuery = (of: URLSearchParams): Record<string, string | null> => ({ node: of.get("node"), table: of.get("table") });

/** The changes that nodes have set aside. */
export function ParkedList() {
  const topology = useTopology();
  const { node = null, table = null } = parkedQuery(query.value);
  const { data, error, isLoading, reload } = useLoad(
    (signal) => get<Page>("/v1/parked", { query: { node, table, limit: MOST }, signal }),
    [node, table],
    [revision.value],
  );
  return (
    <>
      <PageHead title="Parked changes">
        <Button onClick={reload}>Reload</Button>
      </PageHead>
      <p class="muted">
        A change that a database, or a rule, refuses is set aside so that others go on. It is tried again by itself when what it waits for
        has come.
      </p>
      <section class="card card-body" aria-label="Filter">
        <div class="filters">
          <SelectFilter name="node" label="Kept at" all="All nodes" options={asOptions((topology?.nodes ?? []).map(({ name }) => name))} />
          <SelectFilter name="table" label="Table" all="All tables" options={asOptions(tableNames(topology))} />
        </div>
      </section>
      <NotAskedBanner nodes={data?.not_asked ?? []} />
      <ProblemText error={error} />
      {data !== null && data.more.length > 0 && (
        <p class="banner banner-warn">
          {data.more.join(", ")} {data.more.length === 1 ? "has" : "have"} more than the {MOST} oldest, which are shown.
        </p>
      )}
      <section class="card" aria-busy={isLoading}>
        {data === null ? (
          error === null && (
            <p class="empty" role="status">
              Asking the nodes …
            </p>
          )
        ) : (
          <Table
            caption="Parked changes, oldest first"
            rows={data.parked}
            keyOf={({ node: at, id }) => `${at}/${id}`}
            pageSize={50}
            empty={node === null && table === null ? "No change is parked." : "No parked change matches the filter."}
            columns={[
              {
                title: "Change",
                cell: (each) => (
                  <a href={hrefTo(parkedPath(each), parkedQuery(query.value))}>
                    {each.node}/{each.id}
                  </a>
                ),
              },
              { title: "Parked", cell: ({ parked_at: at }) => <Ago at={at} />, sort: ({ parked_at: at }) => at },
              { title: "From", cell: ({ peer }) => peer, sort: ({ peer }) => peer },
              { title: "Table", cell: ({ table: name }) => <code>{name}</code>, sort: ({ table: name }) => name },
              { title: "Does", cell: ({ op }) => op },
              { title: "Row", cell: ({ key }) => keyText(key) },
              {
                title: "Why",
                wide: true,
                sort: ({ code }) => code,
                cell: ({ reason, code }) => (
                  <span>
                    {reason} <code class="small">{code}</code>
                  </span>
                ),
              },
              { title: "Tries", align: "end", cell: ({ attempts }) => attempts, sort: ({ attempts }) => attempts },
            ]}
          />
        )}
      </section>
    </>
  );
}
