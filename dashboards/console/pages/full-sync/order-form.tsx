import { useState } from "preact/hooks";
import { get } from "../../api/client.ts";
import type { Status, Topology } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { CheckField, RadioGroup, TextField } from "../../components/fields.tsx";
import { Pill } from "../../components/pill.tsx";
import { useLoad } from "../../load.ts";
import { query, setQuery } from "../../router.ts";
import { type Partners, partnersOf, roles } from "./partners.ts";
import { type Direction, startFullSync } from "./run-store.ts";
import { Summary } from "./summary.tsx";

/** So many are shown before one has to look for the others. */
const MOST_SHOWN = 40;

export function OrderForm({ status }: { readonly status: Status }) {
  // by name, and never by place: whatever comes and goes meanwhile, what was chosen stays chosen
  const chosen = query.value.get("link");
  const [direction, setDirection] = useState<Direction>("pull");
  const [find, setFind] = useState("");
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [verify, setVerify] = useState(false);
  const [backup, setBackup] = useState(true);
  const [replaceRows, setReplaceRows] = useState(false);
  const [resume, setResume] = useState(false);
  const { data: outline } = useLoad((signal) => get<Topology>("/v1/topology", { signal }), []);

  const all = partnersOf(status);
  const partners = all.find(({ link }) => link === chosen) ?? null;
  const tables = partners === null || outline === null ? [] : tablesOf(outline, partners, direction);
  const wanted = tables.filter((table) => !left.has(table));
  const target = partners === null ? null : roles(partners, direction).target;
  const isSqlite = status.nodes.find(({ name }) => name === target)?.engine === "sqlite";
  const choose = (link: string): void => {
    setQuery({ link });
    setLeft(new Set());
    setReplaceRows(false);
  };

  const start = (): void => {
    if (partners === null) return;
    startFullSync({
      link: partners.link,
      direction,
      tables: wanted.length === tables.length ? null : wanted,
      verify,
      backup: backup && isSqlite,
      replaceRows,
      resume,
      beginAnew: false,
      isEdge: partners.isEdge,
    });
    window.scrollTo(0, 0);
  };

  return (
    <form
      class="card order"
      aria-label="A new full sync"
      onSubmit={(event) => {
        event.preventDefault();
        start();
      }}
    >
      <div class="card-body">
        {all.length > 12 && <TextField label="Find a node" type="search" value={find} onInput={setFind} />}
        <PartnerChoice all={all} find={find} chosen={chosen} onChange={choose} />
        {chosen !== null && partners === null && (
          <p class="problem" role="alert">
            There is no link {chosen} at the moment. What you have chosen stays chosen; choose another one if it is gone for good.
          </p>
        )}
      </div>
      {partners !== null && (
        <>
          <div class="card-body">
            <RadioGroup
              legend="Direction"
              value={direction}
              onChange={(value) => {
                setDirection(value as Direction);
                setLeft(new Set());
                setReplaceRows(false);
              }}
              options={[
                {
                  value: "pull",
                  label: <Arrow from={partners.parent} to={partners.child} />,
                  hint: `${partners.child} becomes a copy of ${partners.parent}`,
                },
                {
                  value: "push",
                  label: <Arrow from={partners.child} to={partners.parent} />,
                  hint: `${partners.parent} takes over what ${partners.child} has`,
                },
              ]}
            />
          </div>
          <fieldset class="card-body options">
            <legend>Options</legend>
            {tables.length > 0 && <TableChoice tables={tables} left={left} onChange={setLeft} />}
            <CheckField label="Verify" hint="Compare both sides row by row afterwards." checked={verify} onChange={setVerify} />
            {!partners.isEdge && (
              <>
                {isSqlite && (
                  <CheckField
                    label="Safety backup"
                    hint={`Copy the file of ${target} before anything else.`}
                    checked={backup}
                    onChange={setBackup}
                  />
                )}
                <CheckField
                  label="Resume"
                  hint="Go on with an interrupted one of the same tables, if there is one."
                  checked={resume}
                  onChange={setResume}
                />
              </>
            )}
            <CheckField
              label={`Rows of ${target} may be replaced or removed`}
              hint={
                partners.isEdge
                  ? "An edge does not ask back: it takes this word."
                  : "Without it, it ends with what would be lost, and changes nothing, if anything would."
              }
              checked={replaceRows}
              onChange={setReplaceRows}
            />
          </fieldset>
          <div class="card-body stack order-end">
            <Summary
              partners={partners}
              direction={direction}
              tables={wanted.length === tables.length ? null : wanted}
              verify={verify}
              backup={backup && isSqlite && !partners.isEdge}
              replaceRows={replaceRows}
            />
            <div class="actions">
              <Button
                type="submit"
                kind="primary"
                disabled={(tables.length > 0 && wanted.length === 0) || (partners.isEdge && !replaceRows)}
              >
                Start the full sync
              </Button>
            </div>
          </div>
        </>
      )}
    </form>
  );
}

function PartnerChoice(props: {
  readonly all: readonly Partners[];
  readonly find: string;
  readonly chosen: string | null;
  readonly onChange: (link: string) => void;
}) {
  const { all, find, chosen, onChange } = props;
  const found = all.filter(({ link, child }) => link === chosen || child.toLowerCase().includes(find.toLowerCase()));
  // the one that is chosen stays in sight
  const shown = [...found.filter(({ link }) => link === chosen), ...found.filter(({ link }) => link !== chosen)].slice(0, MOST_SHOWN);
  const order = new Map(all.map(({ link }, index) => [link, index]));
  shown.sort((one, other) => (order.get(one.link) ?? 0) - (order.get(other.link) ?? 0));
  return (
    <>
      <div class="partners">
        <RadioGroup
          legend="Which node, with its parent"
          value={chosen}
          onChange={onChange}
          options={shown.map(({ link, parent, child, isEdge, state }) => ({
            value: link,
            label: (
              <>
                {child} <span class="muted">with {parent}</span> <Pill state={state} />
              </>
            ),
            ...(isEdge ? { hint: "An edge: it begins when it next comes." } : {}),
          }))}
        />
      </div>
      {found.length > shown.length && <p class="hint">{found.length - shown.length} more: look for them by name.</p>}
      {all.length === 0 && <p class="empty">The topology has no links, and no edge has come yet.</p>}
    </>
  );
}

function TableChoice(props: {
  readonly tables: readonly string[];
  readonly left: ReadonlySet<string>;
  readonly onChange: (left: ReadonlySet<string>) => void;
}) {
  const { tables, left, onChange } = props;
  const toggle = (table: string, isIn: boolean): void => {
    const next = new Set(left);
    if (isIn) next.delete(table);
    else next.add(table);
    onChange(next);
  };
  return (
    <details>
      <summary>Tables: {left.size === 0 ? `all ${tables.length}` : `${tables.length - left.size} of ${tables.length}`}</summary>
      <div class="table-choice">
        {tables.map((table) => (
          <CheckField key={table} label={table} checked={!left.has(table)} onChange={(isIn) => toggle(table, isIn)} />
        ))}
      </div>
    </details>
  );
}

export function Arrow({ from, to }: { readonly from: string; readonly to: string }) {
  return (
    <>
      {from} <span aria-hidden="true">→</span>
      <span class="visually-hidden">to</span> {to}
    </>
  );
}

/** Those that travel this way. */
function tablesOf({ links, groups, channels }: Topology, { parent, child, isEdge }: Partners, direction: Direction): readonly string[] {
  const uses = isEdge
    ? groups.filter((group) => group.parent === parent).flatMap((group) => group.channels)
    : (links.find((link) => link.parent === parent && link.child === child)?.channels ?? []);
  const against = direction === "pull" ? "up" : "down";
  const names = new Set(uses.filter((use) => use.direction !== against).map(({ name }) => name));
  return channels.filter(({ name }) => names.has(name)).flatMap(({ tables }) => tables.map(({ name }) => name));
}
