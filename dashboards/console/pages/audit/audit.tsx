import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client.ts";
import type { AuditEntry } from "../../api/desk-types.ts";
import { asOptions, useTopology } from "../../api/topology.ts";
import { Button } from "../../components/button.tsx";
import { SelectFilter, TextFilter } from "../../components/filter-fields.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { Table } from "../../components/table.tsx";
import { valueText } from "../../components/value-text.ts";
import { formatMoment } from "../../format.ts";
import { useLoad } from "../../load.ts";
import { query } from "../../router.ts";
import { useSettled } from "../../settled.ts";

interface Page {
  readonly node: string;
  readonly entries: readonly AuditEntry[];
  readonly next: string | null;
}

const LIMIT = 200;

/** What is written down, as far as the console knows the words. */
const WHATS = [
  "conflict resolved",
  "parked discard",
  "node paused",
  "node resumed",
  "nodes resync",
  "nodes remove",
  "reconcile asked for",
  "reconcile cancelled",
  "full sync asked for",
  "full sync cancelled",
  "log purged",
  "code created",
  "code redeemed",
  "code revoked",
  "token created",
  "token rotated",
  "token revoked",
];

/** What people and tokens did at a node, newest first. */
export function Audit() {
  const topology = useTopology();
  const settled = useSettled(query.value.toString());
  const asked = new URLSearchParams(settled);
  const filter = { node: asked.get("node"), who: asked.get("who"), what: asked.get("what") };
  const fetchPage = (before: string | null, signal?: AbortSignal): Promise<Page> =>
    get<Page>("/v1/audit", { query: { ...filter, limit: LIMIT, before }, ...(signal === undefined ? {} : { signal }) });
  const { data, error, isLoading, reload } = useLoad((signal) => fetchPage(null, signal), [settled]);
  const [older, setOlder] = useState<{ readonly entries: readonly AuditEntry[]; readonly next: string | null } | null>(null);
  useEffect(() => setOlder(null), [data]);
  const next = older === null ? (data?.next ?? null) : older.next;
  const more = async (): Promise<void> => {
    const page = await fetchPage(next);
    setOlder((before) => ({ entries: [...(before?.entries ?? []), ...page.entries], next: page.next }));
  };
  return (
    <>
      <PageHead title="Audit trail">
        <Button onClick={reload}>Reload</Button>
      </PageHead>
      <section class="card card-body" aria-label="Filter">
        <div class="filters">
          <SelectFilter name="node" label="Written at" all="The hub" options={asOptions((topology?.nodes ?? []).map(({ name }) => name))} />
          <TextFilter name="who" label="Who" />
          <SelectFilter name="what" label="What" all="Everything" options={asOptions(WHATS)} />
        </div>
      </section>
      <ProblemText error={error} />
      <section class="card" aria-busy={isLoading}>
        {data === null ? (
          error === null && (
            <p class="empty" role="status">
              Asking …
            </p>
          )
        ) : (
          <Table
            caption={`Audit trail of ${data.node}, newest first`}
            rows={[...data.entries, ...(older?.entries ?? [])]}
            keyOf={({ id }) => id}
            pageSize={100}
            onMore={next === null ? undefined : more}
            empty="Nothing was written down."
            columns={[
              { title: "When", cell: ({ at }) => <time dateTime={at}>{formatMoment(at)}</time> },
              { title: "Who", cell: ({ who }) => who },
              { title: "What", cell: ({ what }) => what },
              { title: "Details", wide: true, cell: ({ details }) => <DetailsText details={details} /> },
            ]}
          />
        )}
      </section>
    </>
  );
}

/** Names, never values of rows: `table shop.orders, conflict 7`. */
function DetailsText({ details }: { readonly details: AuditEntry["details"] }) {
  const known = Object.entries(details ?? {}).filter(([, value]) => value !== null && !(typeof value === "object" && isEmpty(value)));
  return (
    <span class="details-text">
      {known.map(([name, value]) => (
        <span key={name}>
          <span class="muted">{name.replaceAll("_", " ")}</span> {valueText(value)}
        </span>
      ))}
    </span>
  );
}

const isEmpty = (value: object): boolean => Object.keys(value).length === 0;
