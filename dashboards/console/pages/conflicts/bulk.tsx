import { useState } from "preact/hooks";
import { post } from "../../api/client.ts";
import type { Conflict, Taken } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { toast } from "../../components/toast.tsx";
import { formatCount, plural } from "../../format.ts";
import { hrefTo } from "../../router.ts";
import { conflictName, conflictPath } from "./conflict-filter.ts";
import { TAKE_TEXT, TAKES } from "./words.ts";

/** Sent at once: a request of some seconds at most, after which one sees how far it is. */
const AT_ONCE = 200;
/** What was not done is named up to here. */
const NAMED = 20;

interface Refused {
  readonly node: string;
  readonly id: string;
  readonly error: { readonly code: string; readonly message: string };
}

export interface BulkProps {
  readonly chosen: readonly Conflict[];
  /** What has been loaded. */
  readonly shown: readonly Conflict[];
  readonly hasMore: boolean;
  readonly onSelect: (conflicts: readonly Conflict[]) => void;
  readonly onSelectAll: () => Promise<void>;
  readonly onDone: () => Promise<void>;
}

/** Decides many conflicts alike. What somebody else has decided meanwhile, or whose row has changed, is left alone and named. */
export function Bulk({ chosen, shown, hasMore, onSelect, onSelectAll, onDone }: BulkProps) {
  const [done, setDone] = useState<number | null>(null);
  const [refused, setRefused] = useState<readonly Refused[]>([]);
  const open = shown.filter(({ status }) => status === "open");

  async function decide(take: Taken): Promise<void> {
    const count = plural(chosen.length, "conflict");
    const without = chosen.filter((conflict) => conflict[`${take}_row`] === null).length;
    const yes = await confirm({
      title: `Take ${TAKE_TEXT[take]} in ${count}?`,
      body: (
        <>
          {without > 0 && (
            <p>
              <strong>
                In {formatCount(without)} of them {take === "base" ? "there was no row before" : `the ${take} has no row`}: those rows are
                deleted.
              </strong>
            </p>
          )}
          <p>
            Each of the {count} is decided by itself, and the decisions replicate. What somebody decides or changes meanwhile is left as it
            is. A decision can be made anew later.
          </p>
        </>
      ),
      action: `Take ${TAKE_TEXT[take]}`,
    });
    if (!yes) return;
    const names = chosen.map(({ node, id }) => ({ node, id }));
    const left: Refused[] = [];
    let decided = 0;
    setRefused([]);
    try {
      for (let at = 0; at < names.length; at += AT_ONCE) {
        setDone(at);
        const body = { take, conflicts: names.slice(at, at + AT_ONCE) };
        const answer = await post<{ decided: number; refused: readonly Refused[] }>("/v1/conflicts/resolve", { body });
        decided += answer.decided;
        left.push(...answer.refused);
      }
    } finally {
      setDone(null);
      setRefused(left);
      if (decided > 0)
        toast(`${plural(decided, "conflict")} decided: ${TAKE_TEXT[take]}.`, left.length > 0 ? `${left.length} left as they are` : null);
      await onDone();
    }
  }

  return (
    <section class="card card-body stack" aria-label="Decide many">
      <div class="actions">
        <Button onClick={() => onSelect(open)} disabled={open.length === 0}>
          Select {hasMore ? `the ${formatCount(open.length)} loaded` : `all ${formatCount(open.length)}`}
        </Button>
        {hasMore && <Button onClick={onSelectAll}>Select all that match</Button>}
        {chosen.length > 0 && (
          <Button kind="quiet" onClick={() => onSelect([])}>
            Select none
          </Button>
        )}
        {chosen.length > 0 &&
          TAKES.map((take) => (
            <Button key={take} kind={take === "base" ? "plain" : "primary"} disabled={done !== null} onClick={() => decide(take)}>
              Take {TAKE_TEXT[take]} in {formatCount(chosen.length)}
            </Button>
          ))}
      </div>
      {done !== null && (
        <p role="status">
          {formatCount(done)} of {formatCount(chosen.length)} done …
        </p>
      )}
      {refused.length > 0 && (
        <div class="problem" role="alert">
          <p>{plural(refused.length, "conflict")} left as they are:</p>
          <ul>
            {refused.slice(0, NAMED).map((each) => (
              <li key={conflictName(each)}>
                <a href={hrefTo(conflictPath(each))}>{conflictName(each)}</a>: {each.error.message} <code>{each.error.code}</code>
              </li>
            ))}
          </ul>
          {refused.length > NAMED && <p>and {formatCount(refused.length - NAMED)} more</p>}
        </div>
      )}
    </section>
  );
}
