import { useState } from "preact/hooks";
import { del, get, post } from "../../api/client.ts";
import type { Issued, ListedNode, Token } from "../../api/desk-types.ts";
import { revision, status } from "../../api/live.ts";
import { isAdmin, mayAct } from "../../api/session.ts";
import { useTopology } from "../../api/topology.ts";
import type { EdgeStatus } from "../../api/types.ts";
import { Ago } from "../../components/ago.tsx";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Pill } from "../../components/pill.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { toast } from "../../components/toast.tsx";
import { formatCount, formatMoment } from "../../format.ts";
import { useLoad } from "../../load.ts";
import { hrefTo } from "../../router.ts";
import { Enrol } from "./enrol.tsx";
import { IssuedDialog } from "./issued-dialog.tsx";

interface Edge extends ListedNode {
  /** Null before it has come. */
  readonly met: EdgeStatus | null;
  /** Those in force, newest first: more than one for an hour after a rotation. For admins only. */
  readonly tokens: readonly Token[];
}

/** Beyond it `newest_wins` compares times that mean little. */
const CLOCK_TOLERANCE_MS = 1_000;
const MOST_TOKENS = 1_000;

/** Those that come by themselves, over HTTP. */
export function Edges() {
  const topology = useTopology();
  const admin = isAdmin();
  const nodes = useLoad((signal) => get<{ nodes: readonly ListedNode[] }>("/v1/nodes", { signal }), [], [revision.value]);
  const tokens = useLoad<readonly Token[]>(async (signal) => (admin ? allTokens(signal) : []), [admin], [revision.value]);
  const [issued, setIssued] = useState<Issued | null>(null);
  const reload = async (): Promise<void> => void (await Promise.all([nodes.reload(), tokens.reload()]));

  const edges = (nodes.data?.nodes ?? [])
    .filter(({ kind }) => kind === "edge")
    .map(
      (node): Edge => ({
        ...node,
        met: status.value?.edges.find(({ edge }) => edge === node.name) ?? null,
        tokens: (tokens.data ?? []).filter((token) => token.node === node.name && token.kind === "token"),
      }),
    );
  const codes = (tokens.data ?? []).filter(({ kind }) => kind === "code");
  return (
    <>
      <PageHead title="Edges">
        <Button onClick={reload}>Reload</Button>
      </PageHead>
      <ProblemText error={nodes.error ?? tokens.error} />
      <section class="card" aria-busy={nodes.isLoading}>
        {nodes.data === null ? (
          nodes.error === null && (
            <p class="empty" role="status">
              Asking the hub …
            </p>
          )
        ) : (
          <Table
            caption="Edges"
            rows={edges}
            keyOf={({ name }) => name}
            pageSize={50}
            empty="No edge has enrolled."
            columns={[...COLUMNS, ...(mayAct() ? [actions({ reload, onIssued: setIssued })] : [])]}
          />
        )}
      </section>
      {admin && topology !== null && (
        <section class="card" aria-labelledby="enrol">
          <div class="card-head">
            <h2 id="enrol">Enrol an edge</h2>
          </div>
          <Enrol
            topology={topology}
            onIssued={(made) => {
              setIssued(made);
              void tokens.reload();
            }}
          />
        </section>
      )}
      {admin && codes.length > 0 && (
        <section class="card" aria-labelledby="codes">
          <div class="card-head">
            <h2 id="codes">Codes that wait to be used</h2>
          </div>
          <Table caption="Codes that wait to be used" rows={codes} keyOf={({ id }) => id} columns={codeColumns(reload)} />
        </section>
      )}
      {issued !== null && <IssuedDialog issued={issued} onClose={() => setIssued(null)} />}
    </>
  );
}

/** What is in force of edges, all pages of it. */
async function allTokens(signal: AbortSignal): Promise<readonly Token[]> {
  const found: Token[] = [];
  for (let before: string | null = null; ; ) {
    const query: Record<string, string | number | boolean | null> = { role: "node", in_force: true, limit: MOST_TOKENS, before };
    const page: { tokens: readonly Token[]; next: string | null } = await get("/v1/tokens", { query, signal });
    found.push(...page.tokens);
    if (page.next === null) return found;
    before = page.next;
  }
}

const COLUMNS: readonly Column<Edge>[] = [
  { title: "Edge", cell: ({ name }) => <strong>{name}</strong>, sort: ({ name }) => name },
  { title: "State", cell: ({ state }) => <Pill state={state} />, sort: ({ state }) => state },
  {
    title: "Group",
    cell: ({ group, params }) => (
      <span>
        {group ?? "–"}
        {Object.entries(params).map(([name, value]) => (
          <span key={name} class="small muted edge-param">
            {name} {value}
          </span>
        ))}
      </span>
    ),
    sort: ({ group }) => group,
  },
  { title: "Last seen", cell: ({ last_seen_at: at }) => <Ago at={at} />, sort: ({ last_seen_at: at }) => at },
  { title: "Version", cell: ({ version }) => version ?? <span class="muted">–</span>, sort: ({ version }) => version },
  { title: "Last came up", cell: ({ met }) => <Ago at={met?.last_out} />, sort: ({ met }) => met?.last_out ?? null },
  {
    title: "Waits for it",
    align: "end",
    cell: ({ met }) => formatCount(met?.pending_changes),
    sort: ({ met }) => met?.pending_changes ?? null,
  },
  {
    title: "Clock",
    align: "end",
    cell: ({ met }) => <ClockOffset ms={met?.clock_offset_ms ?? null} />,
    sort: ({ met }) => met?.clock_offset_ms ?? null,
  },
  {
    title: "Conflicts",
    align: "end",
    cell: ({ name, met }) =>
      met === null || met.conflicts_open === 0 ? (
        formatCount(met?.conflicts_open)
      ) : (
        <a href={hrefTo("/conflicts", { node: name })}>{formatCount(met.conflicts_open)}</a>
      ),
    sort: ({ met }) => met?.conflicts_open ?? null,
  },
  {
    title: "Parked",
    align: "end",
    cell: ({ parent, met }) =>
      met === null || met.parked_changes === 0 ? (
        formatCount(met?.parked_changes)
      ) : (
        <a href={hrefTo("/parked", { node: parent })}>{formatCount(met.parked_changes)}</a>
      ),
    sort: ({ met }) => met?.parked_changes ?? null,
  },
];

function ClockOffset({ ms }: { readonly ms: number | null }) {
  if (ms === null) return <span class="muted">–</span>;
  const text = `${ms > 0 ? "+" : ""}${Math.abs(ms) < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`}`;
  if (Math.abs(ms) <= CLOCK_TOLERANCE_MS) return <span>{text}</span>;
  return (
    <Pill state="off" tone="warn">
      {text}
    </Pill>
  );
}

interface Acting {
  readonly reload: () => Promise<void>;
  readonly onIssued: (issued: Issued) => void;
}

const actions = ({ reload, onIssued }: Acting): Column<Edge> => ({
  title: "Actions",
  cell: ({ name, state, met, tokens }) => (
    <span class="actions">
      {met !== null && (
        <Button
          label={state === "paused" ? `Resume ${name}` : `Pause ${name}`}
          onClick={async () => {
            await post(`/v1/nodes/${encodeURIComponent(name)}/${state === "paused" ? "resume" : "pause"}`);
            toast(state === "paused" ? `${name} goes on.` : `${name} is paused; its changes are kept.`);
            await reload();
          }}
        >
          {state === "paused" ? "Resume" : "Pause"}
        </Button>
      )}
      {tokens[0] !== undefined && (
        <>
          <Button label={`Rotate the token of ${name}`} onClick={() => rotate(name, tokens[0] as Token, { reload, onIssued })}>
            Rotate
          </Button>
          <Button kind="danger" label={`Revoke the token of ${name}`} onClick={() => revoke(`the token of ${name}`, tokens, reload)}>
            Revoke
          </Button>
        </>
      )}
    </span>
  ),
});

async function rotate(name: string, { id }: Token, { reload, onIssued }: Acting): Promise<void> {
  const yes = await confirm({
    title: `A new token for ${name}?`,
    body: (
      <p>
        The new one has to be put into the edge's credential file by hand; the old one works for another hour. An edge renews its token by
        itself: this is for one that cannot.
      </p>
    ),
    action: "Make a new token",
  });
  if (!yes) return;
  onIssued(await post<Issued>(`/v1/tokens/${id}/rotate`));
  await reload();
}

async function revoke(what: string, tokens: readonly Token[], reload: () => Promise<void>): Promise<void> {
  const yes = await confirm({
    title: `Revoke ${what}?`,
    body: (
      <p>It ends at once, with all that came of it, and cannot be brought back. What the edge has is kept; to come back it enrols anew.</p>
    ),
    action: "Revoke it",
    danger: true,
  });
  if (!yes) return;
  // what a rotation leaves for an hour ends as well
  for (const { id } of tokens) await del(`/v1/tokens/${id}`);
  toast(`Revoked: ${what}.`);
  await reload();
}

const codeColumns = (reload: () => Promise<void>): readonly Column<Token>[] => [
  { title: "For", cell: ({ node }) => node ?? "–", sort: ({ node }) => node },
  { title: "Group", cell: ({ group }) => group ?? "–" },
  { title: "Made by", cell: ({ created_by: by }) => by },
  { title: "Made", cell: ({ created_at: at }) => <Ago at={at} />, sort: ({ created_at: at }) => at },
  { title: "Ends", cell: ({ expires_at: at }) => (at === null ? "never" : formatMoment(at)) },
  {
    title: "Actions",
    cell: (token) => (
      <Button
        kind="danger"
        label={`Revoke the code for ${token.node}`}
        onClick={() => revoke(`the code for ${token.node}`, [token], reload)}
      >
        Revoke
      </Button>
    ),
  },
];
