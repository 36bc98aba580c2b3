import { useEffect, useRef, useState } from "preact/hooks";
import { revision } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import { asOptions, tableNames, useTopology } from "../../api/topology.ts";
import { Button } from "../../components/button.tsx";
import { SelectFilter, TextFilter } from "../../components/filter-fields.tsx";
import { NotAskedBanner } from "../../components/not-asked.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { formatCount, plural } from "../../format.ts";
import { query, setQuery } from "../../router.ts";
import { useSettled } from "../../settled.ts";
import { Bulk } from "./bulk.tsx";
import { conflictName, FILTER_NAMES, filterOf } from "./conflict-filter.ts";
import { ConflictTable } from "./conflict-table.tsx";
import { useConflictList } from "./use-conflict-list.ts";
import { KINDS, kindText } from "./words.ts";

/** What is reloaded by itself: beyond it, the list would move under the hand of whoever goes through it. */
const QUIETLY = 200;

export function Conflicts() {
  const topology = useTopology();
  const settled = useSettled(query.value.toString());
  const filter = filterOf(new URLSearchParams(settled));
  const list = useConflictList(filter);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [news, setNews] = useState(false);
  const seen = useRef(revision.value);
  const told = revision.value;

  useEffect(() => {
    if (seen.current === told) return;
    seen.current = told;
    if (list.conflicts.length > QUIETLY || selected.size > 0) setNews(true);
    else void list.reload();
  }, [told]);
  const reload = async (): Promise<void> => {
    setNews(false);
    await list.reload();
  };

  const chosen = list.conflicts.filter((conflict) => selected.has(conflictName(conflict)));
  const isFiltered = FILTER_NAMES.some((name) => name !== "status" && query.value.get(name) !== null);
  return (
    <>
      <PageHead title="Conflicts">
        <Button onClick={reload}>Reload</Button>
      </PageHead>
      <section class="card card-body stack" aria-label="Filter">
        <div class="filters">
          <SelectFilter name="status" label="State" all="Open" options={[["all", "Open and decided"]]} />
          <SelectFilter name="table" label="Table" all="All tables" options={asOptions(tableNames(topology))} />
          <TextFilter name="node" label="Node or edge" />
          <SelectFilter name="kind" label="Kind" all="All kinds" options={KINDS.map((kind) => [kind, kindText(kind)])} />
          <TextFilter name="from" label="From (UTC)" type="date" />
          <TextFilter name="to" label="To (UTC)" type="date" />
        </div>
        {isFiltered && (
          <div class="actions">
            <Button kind="quiet" onClick={() => setQuery(Object.fromEntries(FILTER_NAMES.map((name) => [name, null])))}>
              Clear the filter
            </Button>
          </div>
        )}
      </section>
      <NotAskedBanner nodes={list.notAsked} />
      <ProblemText error={list.error} />
      {news && (
        <div class="banner banner-news" role="status">
          Something has changed since this list was made.{" "}
          <Button kind="quiet" onClick={reload}>
            Show it as it is now
          </Button>
        </div>
      )}
      {mayAct() && list.conflicts.length > 0 && (
        <Bulk
          chosen={chosen}
          shown={list.conflicts}
          hasMore={list.hasMore}
          onSelect={(conflicts) => setSelected(new Set(conflicts.map(conflictName)))}
          onSelectAll={async () => setSelected(new Set((await list.all()).filter(({ status }) => status === "open").map(conflictName)))}
          onDone={async () => {
            setSelected(new Set());
            await reload();
          }}
        />
      )}
      <section class="card" aria-busy={list.isLoading}>
        {list.isLoading && list.conflicts.length === 0 ? (
          <p class="empty" role="status">
            Asking the nodes …
          </p>
        ) : (
          <ConflictTable
            conflicts={list.conflicts}
            selected={mayAct() ? selected : null}
            onSelect={(name, isSelected) =>
              setSelected((before) => new Set(isSelected ? [...before, name] : [...before].filter((each) => each !== name)))
            }
            onMore={list.hasMore ? list.more : undefined}
            empty={filter.status === "open" && !isFiltered ? "No conflict waits for a person." : "No conflict matches the filter."}
          />
        )}
      </section>
      <p class="small muted" role="status">
        {list.conflicts.length > 0 && `${plural(list.conflicts.length, "conflict")} loaded${list.hasMore ? ", and there are more" : ""}`}
        {selected.size > 0 && `, ${formatCount(selected.size)} selected`}
      </p>
    </>
  );
}
