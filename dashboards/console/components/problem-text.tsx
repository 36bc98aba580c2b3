import { ApiError } from "../api/client.ts";

/** What went wrong, what to do about it, and the code to look up. */
export function ProblemText({ error }: { readonly error: unknown }) {
  if (error === null || error === undefined) return null;
  const problem = error instanceof ApiError ? error.problem : null;
  return (
    <div class="problem" role="alert">
      <p>{textOf(error)}</p>
      {problem?.errors?.map(({ path, message }) => (
        <p key={path}>
          <code>{path}</code>: {message}
        </p>
      ))}
      {problem?.hint && <p class="muted">{problem.hint}</p>}
      {problem !== null && (
        <p class="muted small">
          <code>{problem.code}</code>
          {problem.request_id !== undefined && <> · request {problem.request_id}</>}
        </p>
      )}
    </div>
  );
}

/** A sentence, with a capital letter and a full stop, which messages of the hub do not have. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
