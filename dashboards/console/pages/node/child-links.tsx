import type { LinkStatus } from "../../api/types.ts";
import { Pill } from "../../components/pill.tsx";
import { Table } from "../../components/table.tsx";
import { formatCount, formatDuration } from "../../format.ts";
import { hrefTo } from "../../router.ts";

const lagOf = ({ up, down }: LinkStatus): number | null => {
  const known = [up.lag_seconds, down.lag_seconds].filter((lag) => lag !== null);
  return known.length === 0 ? null : Math.max(...known);
};

/** The links to the children. */
export function ChildLinks({ links }: { readonly links: readonly LinkStatus[] }) {
  return (
    <section class="card" aria-labelledby="children">
      <div class="card-head">
        <h2 id="children">Children</h2>
      </div>
      <Table
        caption="Links to the children"
        rows={links}
        keyOf={({ child }) => child}
        columns={[
          {
            title: "Child",
            wide: true,
            sort: ({ child }) => child,
            cell: ({ child }) => <a href={hrefTo(`/nodes/${encodeURIComponent(child)}`)}>{child}</a>,
          },
          { title: "State", sort: ({ state }) => state, cell: ({ state }) => <Pill state={state} /> },
          { title: "Up pending", align: "end", sort: ({ up }) => up.pending_changes, cell: ({ up }) => formatCount(up.pending_changes) },
          {
            title: "Down pending",
            align: "end",
            sort: ({ down }) => down.pending_changes,
            cell: ({ down }) => formatCount(down.pending_changes),
          },
          { title: "Lag", align: "end", sort: lagOf, cell: (link) => formatDuration(lagOf(link)) },
        ]}
      />
    </section>
  );
}
