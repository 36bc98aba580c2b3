import { useState } from "preact/hooks";
import { setPaused, syncNow, syncText } from "../../api/act.ts";
import { Button } from "../../components/button.tsx";
import { confirm } from "../../components/dialog.tsx";
import { hrefTo, navigate } from "../../router.ts";
import { startFullSync } from "../full-sync/run-store.ts";

interface NodeActionsProps {
  readonly parent: string;
  readonly child: string;
  readonly state: string;
  readonly isEdge: boolean;
}

/** What an operator may do to the link of a node to its parent. */
export function NodeActions({ parent, child, state, isEdge }: NodeActionsProps) {
  const [told, setTold] = useState<string | null>(null);
  const isPaused = state === "paused";
  const sync = async (): Promise<void> => {
    setTold(null);
    setTold(syncText(await syncNow(parent, child)));
  };
  return (
    <>
      <span role="status" class="small">
        {told}
      </span>
      {!isEdge && (
        <Button onClick={sync} disabled={isPaused}>
          Sync now
        </Button>
      )}
      <Button onClick={() => setPaused(child, !isPaused)}>{isPaused ? "Resume" : "Pause"}</Button>
      <a class="button" href={hrefTo("/full-sync", { link: `${parent}/${child}` })}>
        Full sync …
      </a>
      {!isEdge && (
        <Button kind="danger" onClick={() => resync(parent, child)}>
          Resync …
        </Button>
      )}
    </>
  );
}

async function resync(parent: string, child: string): Promise<void> {
  const agreed = await confirm({
    title: `Let ${parent} and ${child} begin anew?`,
    body: (
      <>
        <p>
          For when one of the two was restored, copied, promoted, or away for too long. They forget what they know of each other, and{" "}
          {child} becomes a copy of {parent}.
        </p>
        <p>
          Rows that only {child} has go, others are replaced; the conflict history of {child} keeps them. What {child} has not sent yet is
          still judged.
        </p>
      </>
    ),
    action: `Resync ${child}`,
    danger: true,
  });
  if (!agreed) return;
  startFullSync({
    link: `${parent}/${child}`,
    direction: "pull",
    tables: null,
    verify: false,
    backup: true,
    replaceRows: true,
    resume: false,
    beginAnew: true,
  });
  navigate("/full-sync", { link: `${parent}/${child}` });
}
