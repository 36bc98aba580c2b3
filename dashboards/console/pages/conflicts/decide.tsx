import { useEffect, useState } from "preact/hooks";
import { type Answer, request } from "../../api/client.ts";
import type { Preview, Row, ShownConflict, Taken } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { ProblemText } from "../../components/problem-text.tsx";
import { Versions } from "../../components/versions.tsx";
import { conflictPath } from "./conflict-filter.ts";
import { Values } from "./values.tsx";
import { TAKE_TEXT, TAKES } from "./words.ts";

export type Decision = { readonly take: Taken } | { readonly set: Readonly<Record<string, string | null>> };

export interface DecideProps {
  readonly seen: Answer<ShownConflict>;
  /** Whether it was decided; throws what it cannot tell itself. `etag` is of what whoever decides has seen. */
  readonly onDecide: (decision: Decision, etag: string | null) => Promise<boolean>;
}

/** Take one side with a click; merge both, or give values, and look at it first. */
export function Decide({ seen, onDecide }: DecideProps) {
  const { conflict, now } = seen.data;
  const [mode, setMode] = useState<"merge" | "values" | null>(null);
  const [preview, setPreview] = useState<Answer<Preview> | null>(null);
  const [error, setError] = useState<unknown>(null);
  // what was looked at is of another row then; values that were written stay
  useEffect(() => setPreview(null), [seen.etag]);

  async function look(proposal: Decision | { readonly merge: true }): Promise<void> {
    setError(null);
    setPreview(null);
    try {
      setPreview(await request<Preview>("POST", `/v1${conflictPath(conflict)}/preview`, { body: proposal }));
    } catch (thrown) {
      setError(thrown);
    }
  }
  async function decide(decision: Decision, etag: string | null): Promise<void> {
    setError(null);
    try {
      if (await onDecide(decision, etag)) setMode(null);
    } catch (thrown) {
      setError(thrown);
    }
  }
  async function take(side: Taken): Promise<void> {
    // a click is enough for what can be taken back; a row that goes takes its references along, and the like
    const isDeletion = conflict[`${side}_row`] === null && now !== null;
    const yes =
      !isDeletion ||
      (await confirm({
        title: "Delete the row?",
        body: (
          <p>
            {side === "base" ? "Before both changes" : `At the ${side}`} there was no row: to take that deletes the row of{" "}
            <code>{conflict.table}</code> everywhere.
          </p>
        ),
        action: "Delete the row",
        danger: true,
      }));
    if (yes) await decide({ take: side }, seen.etag);
  }
  function open(next: "merge" | "values"): Promise<void> | undefined {
    setMode(next);
    setPreview(null);
    setError(null);
    return next === "merge" ? look({ merge: true }) : undefined;
  }

  return (
    <section class="card card-body stack" aria-labelledby="decide">
      <h2 id="decide">{conflict.status === "open" ? "Decide" : "Decide anew"}</h2>
      <div class="actions">
        {TAKES.map((side) => (
          <Button key={side} kind={side === "base" ? "plain" : "primary"} onClick={() => take(side)}>
            Take {TAKE_TEXT[side]}
            {conflict[`${side}_row`] === null && " (no row)"}
          </Button>
        ))}
        <Button onClick={() => open("merge")}>Look at a merge</Button>
        <Button onClick={() => open("values")}>Give values</Button>
      </div>
      <p class="small muted">
        A decision is an ordinary change of {conflict.node}: it replicates to everybody, and can be made anew. Taking a side takes its{" "}
        {conflict.columns === null ? "row" : `${conflict.columns.join(", ")}; other columns stay as they are now`}.
      </p>
      {mode === "values" && (
        <Values conflict={conflict} now={now} onLook={(set) => look({ set })} onDecide={(set) => decide({ set }, seen.etag)} />
      )}
      <ProblemText error={error} />
      {preview !== null && (
        <Previewed preview={preview.data} now={now} isMerge={mode === "merge"} onDecide={(decision) => decide(decision, preview.etag)} />
      )}
    </section>
  );
}

interface PreviewedProps {
  readonly preview: Preview;
  readonly now: Row | null;
  readonly isMerge: boolean;
  readonly onDecide: (decision: Decision) => Promise<void>;
}

function Previewed({ preview, now, isMerge, onDecide }: PreviewedProps) {
  const { decision, row, changed, merged } = preview;
  const overlaps = merged.filter(({ overlap }) => overlap !== null);
  return (
    <section class="stack" aria-label={isMerge ? "The merge" : "What it would be"}>
      <h3>{isMerge ? "Both sides' edits in one" : "What the row would be"}</h3>
      {overlaps.length > 0 && (
        <ul class="overlaps">
          {overlaps.map(({ column, overlap }) => (
            <li key={column}>
              <code>{column}</code> stays as it is: {overlap}.
            </li>
          ))}
        </ul>
      )}
      {changed.length === 0 ? (
        <p>The row would stay as it is.</p>
      ) : (
        <Versions
          caption="The row as it is, and as it would be"
          differing={changed}
          only={row === null || now === null ? null : changed}
          versions={[
            { title: "Now", row: now },
            { title: "Would be", row, against: now },
          ]}
        />
      )}
      {isMerge && decision !== null && (
        <div class="actions">
          <Button kind="primary" onClick={() => onDecide(decision)}>
            Decide for the merge
          </Button>
        </div>
      )}
    </section>
  );
}
