import { signal } from "@preact/signals";
import { ApiError } from "../api/client.ts";
import { textOf } from "./problem-text.tsx";

interface Told {
  readonly id: number;
  readonly kind: "done" | "failed";
  readonly text: string;
  readonly more: string | null;
}

const told = signal<readonly Told[]>([]);
const SHOWN_MS = 8_000;
let count = 0;

/** Says that something was done; screen readers read it out. */
export const toast = (text: string, more: string | null = null): void => add({ kind: "done", text, more });

/** Says why something was not done; stays until it is closed. */
export function toastError(error: unknown): void {
  const problem = error instanceof ApiError ? error.problem : null;
  add({ kind: "failed", text: textOf(error), more: problem === null ? null : [problem.hint, problem.code].filter(Boolean).join(" · ") });
}

function add(what: Omit<Told, "id">): void {
  const id = ++count;
  told.value = [...told.peek().slice(-3), { ...what, id }];
  if (what.kind === "done") setTimeout(() => close(id), SHOWN_MS);
}

const close = (id: number): void => {
  told.value = told.peek().filter((each) => each.id !== id);
};

export function Toasts() {
  return (
    <section class="toasts" aria-live="polite" aria-label="Messages">
      {told.value.map(({ id, kind, text, more }) => (
        <div key={id} class={`toast toast-${kind}`} role={kind === "failed" ? "alert" : undefined}>
          <div>
            <p>{text}</p>
            {more !== null && <p class="small muted">{more}</p>}
          </div>
          <button type="button" class="icon-button" aria-label="Close this message" onClick={() => close(id)}>
            ×
          </button>
        </div>
      ))}
    </section>
  );
}
