import "./node.css";
import { status } from "../../api/live.ts";
import { mayAct } from "../../api/session.ts";
import type { EdgeStatus, LinkStatus, NodeStatus } from "../../api/types.ts";
import { PageHead } from "../../components/page-head.tsx";
import { Pill } from "../../components/pill.tsx";
import type { PageProps } from "../../page.ts";
import { hrefTo } from "../../router.ts";
import { Charts } from "../overview/charts.tsx";
import { stateOf } from "../overview/tree-of.ts";
import { ChildLinks } from "./child-links.tsx";
import { EdgeFacts, NodeFacts } from "./facts.tsx";
import { LinkCard } from "./link-card.tsx";
import { NodeActions } from "./node-actions.tsx";
import { Tables } from "./tables.tsx";

/** A node or an edge, and the link to its parent. */
export function NodePage({ params }: PageProps) {
  const name = params.node ?? "";
  const now = status.value;
  if (now === null) {
    return (
      <>
        <PageHead title={name} />
        <p role="status">Asking the databases …</p>
      </>
    );
  }
  const node = now.nodes.find((each) => each.name === name) ?? null;
  const edge = now.edges.find((each) => each.edge === name) ?? null;
  const link = now.links.find(({ child }) => child === name) ?? null;
  if (node === null && edge === null) return <Unknown name={name} />;
  return <Known {...{ name, node, edge, link }} below={now.links.filter(({ parent }) => parent === name)} />;
}

interface KnownProps {
  readonly name: string;
  readonly node: NodeStatus | null;
  readonly edge: EdgeStatus | null;
  readonly link: LinkStatus | null;
  readonly below: readonly LinkStatus[];
}

function Known({ name, node, edge, link, below }: KnownProps) {
  const state = stateOf({ name, node, edge, link, below: [] });
  const parent = link?.parent ?? edge?.parent ?? null;
  return (
    <>
      <PageHead title={name} above={parent === null ? "The hub" : <ParentLink parent={parent} />}>
        {mayAct() && parent !== null && <NodeActions parent={parent} child={name} state={state} isEdge={edge !== null} />}
      </PageHead>
      <p class="actions">
        <Pill state={state} />
        <span class="muted">{node?.engine ?? "an edge: it comes to the hub by itself"}</span>
      </p>
      {node?.error && (
        <div class="problem">
          <p>{node.error.message}</p>
          {node.error.hint !== null && <p>{node.error.hint}</p>}
          <p class="small">
            <code>{node.error.code}</code>
          </p>
        </div>
      )}
      {link !== null && <LinkCard link={link} />}
      {edge !== null && <EdgeFacts edge={edge} />}
      {node !== null && <NodeFacts node={node} />}
      {parent !== null && <Charts link={`${parent}/${name}`} />}
      {below.length > 0 && <ChildLinks links={below} />}
      {node !== null && node.state === "up" && <Tables node={name} />}
    </>
  );
}

function ParentLink({ parent }: { readonly parent: string }) {
  return (
    <>
      below <a href={hrefTo(`/nodes/${encodeURIComponent(parent)}`)}>{parent}</a>
    </>
  );
}

function Unknown({ name }: { readonly name: string }) {
  return (
    <>
      <PageHead title={name} />
      <p>
        The topology has no such node, and no such edge has come yet. <a href={hrefTo("/")}>To the overview</a>
      </p>
    </>
  );
}
