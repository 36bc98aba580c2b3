import type { ComponentChildren } from "preact";
import type { EdgeStatus, NodeStatus } from "../../api/types.ts";
import { Ago } from "../../components/ago.tsx";
import { formatBytes, formatCount, formatDuration } from "../../format.ts";
import { hrefTo } from "../../router.ts";

export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const clockText = (offsetMs: number | null): string => {
  if (offsetMs === null) return "–";
  const size = Math.abs(offsetMs) < 1_000 ? `${Math.round(Math.abs(offsetMs))} ms` : formatDuration(Math.abs(offsetMs) / 1000);
  return offsetMs === 0 ? size : `${size} ${offsetMs > 0 ? "ahead" : "behind"}`;
};

export function NodeFacts({ node }: { readonly node: NodeStatus }) {
  const waiting = (count: number | null, to: string) =>
    count === null || count === 0 ? (
      formatCount(count)
    ) : (
      <a href={hrefTo(to, { node: node.name, status: to === "/conflicts" ? "open" : null })}>{formatCount(count)}</a>
    );
  return (
    <section class="card" aria-labelledby="database">
      <div class="card-head">
        <h2 id="database">Database</h2>
      </div>
      <dl class="facts card-body">
        <Fact name="Version">{node.version ?? "–"}</Fact>
        <Fact name="Clock">{clockText(node.clock_offset_ms)}</Fact>
        <Fact name="Changes in the log">{formatCount(node.log_rows)}</Fact>
        <Fact name="Size of the log">{formatBytes(node.log_bytes)}</Fact>
        <Fact name="Open conflicts">{waiting(node.conflicts_open, "/conflicts")}</Fact>
        <Fact name="Parked changes">{waiting(node.parked_changes, "/parked")}</Fact>
        <Fact name="Epoch">
          <code>{node.epoch ?? "–"}</code>
        </Fact>
      </dl>
    </section>
  );
}

export function EdgeFacts({ edge }: { readonly edge: EdgeStatus }) {
  return (
    <section class="card" aria-labelledby="edge">
      <div class="card-head">
        <h2 id="edge">As its hub sees it</h2>
      </div>
      <div class="card-body stack">
        {edge.reason !== null && <p>{edge.reason}</p>}
        <dl class="facts">
          <Fact name="Waits to be fetched">{formatCount(edge.pending_changes)}</Fact>
          <Fact name="Packets sent">{formatCount(edge.packets_sent)}</Fact>
          <Fact name="Packets received">{formatCount(edge.packets_received)}</Fact>
          <Fact name="Last sent to it">
            <Ago at={edge.last_in} />
          </Fact>
          <Fact name="Last came from it">
            <Ago at={edge.last_out} />
          </Fact>
          <Fact name="Open conflicts">{formatCount(edge.conflicts_open)}</Fact>
          <Fact name="Parked changes">{formatCount(edge.parked_changes)}</Fact>
          <Fact name="Clock">{clockText(edge.clock_offset_ms)}</Fact>
          {edge.asked.map(({ what, since }) => (
            <Fact key={what} name={what === "full_sync" ? "Full sync asked for" : "Comparison asked for"}>
              <Ago at={since} />
            </Fact>
          ))}
        </dl>
      </div>
    </section>
  );
}
