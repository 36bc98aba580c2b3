import { useState } from "preact/hooks";
import type { Status } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Pill } from "../../components/pill.tsx";
import { textOf } from "../../components/problem-text.tsx";
import { formatCount, plural } from "../../format.ts";
import { hrefTo } from "../../router.ts";
import { type Finding, findings } from "./attention-list.ts";

/** Of three hundred nodes all may be down at once. */
const FIRST = 8;
/** So many of one kind are told as one. */
const MANY = 4;

export function Attention({ status }: { readonly status: Status }) {
  const [isWhole, setIsWhole] = useState(false);
  const found = findings(status);
  if (found.length === 0) {
    const { nodes, links, edges } = status;
    const parts = [plural(nodes.length, "node"), plural(links.length, "link"), ...(edges.length > 0 ? [plural(edges.length, "edge")] : [])];
    return (
      <section class="verdict tone-good" aria-label="Verdict">
        <span class="verdict-sign" aria-hidden="true">
          ✓
        </span>
        <div>
          <h2>All is well</h2>
          <p class="muted">{parts.join(", ")}: everything is up, nothing waits for a person.</p>
        </div>
      </section>
    );
  }
  const kinds = byKind(found);
  const bad = found.some(({ tone }) => tone === "bad");
  return (
    <section class={`attention card tone-${bad ? "bad" : "warn"}`} aria-labelledby="attention">
      <div class="card-head">
        <h2 id="attention">
          {plural(found.length, "thing")} {found.length === 1 ? "needs" : "need"} attention
        </h2>
      </div>
      <ul>
        {(isWhole ? kinds : kinds.slice(0, FIRST)).map((kind) => (
          <Kind key={kind.map(({ of, what }) => `${of} ${what}`)[0]} kind={kind} />
        ))}
      </ul>
      {kinds.length > FIRST && (
        <div class="card-body">
          <Button kind="quiet" onClick={() => setIsWhole(!isWhole)}>
            {isWhole ? "Show fewer" : "Show all"}
          </Button>
        </div>
      )}
    </section>
  );
}

/** What is the same at many is one entry. */
function byKind(found: readonly Finding[]): readonly (readonly Finding[])[] {
  const kinds = Map.groupBy(found, ({ tone, what }) => `${tone} ${what}`);
  return [...kinds.values()].flatMap((kind) => (kind.length < MANY ? kind.map((each) => [each]) : [kind]));
}

function Kind({ kind }: { readonly kind: readonly Finding[] }) {
  const [first] = kind;
  if (first === undefined) return null;
  if (kind.length === 1) return <Item {...first} />;
  return (
    <li class="finding">
      <Sign tone={first.tone} />
      <div>
        <p>
          <strong>{formatCount(kind.length)}</strong> of this kind: {first.what}
        </p>
        <p class="small muted">{textOf(first.remedy)}</p>
        <details class="small">
          <summary>Which</summary>
          <ul class="finding-names">
            {kind.map(({ of, to, params }) => (
              <li key={of}>
                <a href={hrefTo(to, params)}>{of}</a>
              </li>
            ))}
          </ul>
        </details>
      </div>
    </li>
  );
}

const Sign = ({ tone }: Pick<Finding, "tone">) => (
  <Pill state={tone} tone={tone}>
    {tone === "bad" ? "act" : "look"}
  </Pill>
);

function Item({ tone, of, what, why, remedy, to, params }: Finding) {
  return (
    <li class="finding">
      <Sign tone={tone} />
      <div>
        <p>
          <a href={hrefTo(to, params)}>
            <strong>{of}</strong>
          </a>
          : {what}
        </p>
        {why !== null && <p class="small">{textOf(why)}</p>}
        <p class="small muted">{textOf(remedy)}</p>
      </div>
    </li>
  );
}
