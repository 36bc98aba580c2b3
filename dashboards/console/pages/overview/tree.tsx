import { useState } from "preact/hooks";
import type { LinkStatus, Status } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { TextField } from "../../components/fields.tsx";
import { Pill } from "../../components/pill.tsx";
import { formatCount, formatDuration } from "../../format.ts";
import { hrefTo, query, setQuery } from "../../router.ts";
import { type Branch, filterTree, stateOf, treeOf } from "./tree-of.ts";

/** So many children are shown before one asks for the others. */
const FIRST = 30;

/** The topology: a list of lists, which is what a tree is to a screen reader, with what waits on each link. */
export function Tree({ status }: { readonly status: Status }) {
  const filter = query.value.get("find") ?? "";
  const isLarge = status.nodes.length + status.edges.length > 12;
  const branches = filterTree(treeOf(status), filter);
  return (
    <section class="card" aria-labelledby="topology">
      <div class="card-head">
        <h2 id="topology">Topology</h2>
        {isLarge && (
          <div class="tree-filter">
            <TextField label="Find a node" type="search" value={filter} onInput={(find) => setQuery({ find })} />
          </div>
        )}
      </div>
      {branches.length === 0 ? <p class="empty">No node has “{filter}” in its name.</p> : <Branches branches={branches} isRoot />}
    </section>
  );
}

function Branches({ branches, isRoot = false }: { readonly branches: readonly Branch[]; readonly isRoot?: boolean }) {
  const [most, setMost] = useState(FIRST);
  return (
    <ul class={isRoot ? "tree" : "tree-below"}>
      {branches.slice(0, most).map((branch) => (
        <li key={branch.name}>
          <div class="tree-node">
            <a href={hrefTo(`/nodes/${encodeURIComponent(branch.name)}`)} class="tree-name">
              {branch.name}
            </a>
            <span class="small muted">{branch.node?.engine ?? "edge"}</span>
            <Pill state={stateOf(branch)} />
            <Flow branch={branch} />
          </div>
          {branch.below.length > 0 && <Branches branches={branch.below} />}
        </li>
      ))}
      {branches.length > most && (
        <li>
          <Button kind="quiet" onClick={() => setMost(most + 200)}>
            Show {formatCount(Math.min(200, branches.length - most))} more of {formatCount(branches.length)}
          </Button>
        </li>
      )}
    </ul>
  );
}

function Flow({ branch: { link, edge } }: { readonly branch: Branch }) {
  if (link !== null) {
    return (
      <span class="tree-flow">
        <Direction sign="↑" words={`from ${link.child} to ${link.parent}`} flow={link.up} />
        <Direction sign="↓" words={`from ${link.parent} to ${link.child}`} flow={link.down} />
      </span>
    );
  }
  if (edge === null) return null;
  const flow = { pending_changes: edge.pending_changes, lag_seconds: null };
  return (
    <span class="tree-flow">
      <Direction sign="↓" words={`from ${edge.parent} to ${edge.edge}`} flow={flow} />
    </span>
  );
}

type FlowNumbers = Pick<LinkStatus["up"], "pending_changes" | "lag_seconds">;

function Direction({ sign, words, flow }: { readonly sign: string; readonly words: string; readonly flow: FlowNumbers }) {
  const { pending_changes: pending, lag_seconds: lag } = flow;
  return (
    <span class={`flow num small${pending !== null && pending > 0 ? "" : " muted"}`}>
      <span aria-hidden="true">{sign}</span>
      <span class="visually-hidden">{words}: </span>
      {pending === null ? "unknown" : `${formatCount(pending)} pending`}
      {lag !== null && lag > 0 && `, ${formatDuration(lag)} behind`}
    </span>
  );
}
