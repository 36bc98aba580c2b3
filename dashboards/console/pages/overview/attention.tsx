import { useState } from "preact/hooks";
import type { Status } from "../../api/types.ts";
import { Button } from "../../components/button.tsx";
import { Pill } from "../../components/pill.tsx";
import { plural } from "../../format.ts";
import { hrefTo } from "../../router.ts";
import { type Finding, findings } from "./attention-list.ts";

/** Of three hundred nodes all may be down at once. */
const FIRST = 8;

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
  const bad = found.some(({ tone }) => tone === "bad");
  return (
    <section class={`attention card tone-${bad ? "bad" : "warn"}`} aria-labelledby="attention">
      <div class="card-head">
        <h2 id="attention">
          {plural(found.length, "thing")} {found.length === 1 ? "needs" : "need"} attention
        </h2>
      </div>
      <ul>
        {(isWhole ? found : found.slice(0, FIRST)).map((finding) => (
          <Item key={`${finding.of} ${finding.what}`} {...finding} />
        ))}
      </ul>
      {found.length > FIRST && (
        <div class="card-body">
          <Button kind="quiet" onClick={() => setIsWhole(!isWhole)}>
            {isWhole ? "Show fewer" : `Show all ${found.length}`}
          </Button>
        </div>
      )}
    </section>
  );
}

function Item({ tone, of, what, why, remedy, to, params }: Finding) {
  return (
    <li class="finding">
      <Pill state={tone} tone={tone}>
        {tone === "bad" ? "act" : "look"}
      </Pill>
      <div>
        <p>
          <a href={hrefTo(to, params)}>
            <strong>{of}</strong>
          </a>
          : {what}
        </p>
        {why !== null && <p class="small">{why}</p>}
        <p class="small muted">{remedy}</p>
      </div>
    </li>
  );
}
