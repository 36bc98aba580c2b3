import "./overview.css";
import { status } from "../../api/live.ts";
import { Ago } from "../../components/ago.tsx";
import { PageHead } from "../../components/page-head.tsx";
import { Attention } from "./attention.tsx";
import { Charts } from "./charts.tsx";
import { Tree } from "./tree.tsx";

/** Whether all is well, where it is not, and what to do, before anything else. */
export function Overview() {
  const now = status.value;
  return (
    <>
      <PageHead title="Overview">
        {now !== null && (
          <span class="small muted">
            as of <Ago at={now.at} />
          </span>
        )}
      </PageHead>
      {now === null ? (
        <p role="status">Asking the databases …</p>
      ) : (
        <>
          <Attention status={now} />
          <Tree status={now} />
          <Charts />
        </>
      )}
    </>
  );
}
