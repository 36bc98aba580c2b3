import type { LinkStatus } from "../../api/types.ts";
import { Ago } from "../../components/ago.tsx";
import { Pill } from "../../components/pill.tsx";
import { Table } from "../../components/table.tsx";
import { formatCount, formatDuration, plural } from "../../format.ts";
import { hrefTo } from "../../router.ts";
import { Fact } from "./facts.tsx";

type Waiting = LinkStatus["refused"][number];

/** The link to the parent: what has gone each way, what waits, and what is refused. */
export function LinkCard({ link }: { readonly link: LinkStatus }) {
  const { parent, child, up, down } = link;
  const rows = [
    { words: `${child} → ${parent}`, flow: up },
    { words: `${parent} → ${child}`, flow: down },
  ];
  return (
    <section class="card" aria-labelledby="link">
      <div class="card-head">
        <h2 id="link">
          Link to {parent} <Pill state={link.state} />
        </h2>
      </div>
      <div class="stack">
        {link.reason !== null && <p class="card-body">{link.reason}</p>}
        <Table
          caption={`Both directions of ${parent}/${child}`}
          rows={rows}
          keyOf={({ words }) => words}
          columns={[
            { title: "Direction", cell: ({ words }) => <strong>{words}</strong>, wide: true },
            { title: "Pending", align: "end", cell: ({ flow }) => formatCount(flow.pending_changes) },
            { title: "Lag", align: "end", cell: ({ flow }) => formatDuration(flow.lag_seconds) },
            { title: "Packets sent", align: "end", cell: ({ flow }) => formatCount(flow.packets_sent) },
            { title: "Acknowledged", align: "end", cell: ({ flow }) => formatCount(flow.packets_acknowledged) },
          ]}
        />
        <dl class="facts card-body">
          <Fact name={`Last came to ${child}`}>
            <Ago at={link.last_in} />
          </Fact>
          <Fact name={`Last went to ${parent}`}>
            <Ago at={link.last_out} />
          </Fact>
          <Fact name="Open conflicts">{formatCount(link.conflicts_open)}</Fact>
          <Fact name="Parked changes">{formatCount(link.parked_changes)}</Fact>
        </dl>
        <Blocked title={`Parked at ${parent}`} waiting={link.parked_at_parent} node={parent} />
        <Blocked title={`Parked at ${child}`} waiting={link.parked_at_child} node={child} />
        <Blocked title={`Changes of ${child} that ${parent} has refused`} waiting={link.refused} node={parent} />
      </div>
    </section>
  );
}

/** By what refuses them, and the oldest of each. */
function Blocked({ title, waiting, node }: { readonly title: string; readonly waiting: readonly Waiting[]; readonly node: string }) {
  if (waiting.length === 0) return null;
  return (
    <div class="card-body">
      <h3>{title}</h3>
      <ul class="blocked">
        {waiting.map(({ code, changes, oldest }) => (
          <li key={code}>
            <p>
              <code>{code}</code>: {plural(changes, "change")}, the oldest from <Ago at={oldest.parked_at} />
            </p>
            <p class="small">
              {oldest.op} of {oldest.table}: {oldest.reason}{" "}
              {oldest.id !== null && <a href={hrefTo(`/parked/${encodeURIComponent(node)}/${oldest.id}`)}>See it</a>}
            </p>
          </li>
        ))}
      </ul>
    </div>
  );
}
