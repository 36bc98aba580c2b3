import type { NotAsked } from "../api/desk-types.ts";

/** Whose answer is missing from what is shown, and why. */
export function NotAskedBanner({ nodes }: { readonly nodes: NotAsked }) {
  if (nodes.length === 0) return null;
  return (
    <div class="banner banner-warn" role="status">
      {nodes.map(({ node, error }) => (
        <p key={node}>
          <strong>{node}</strong> could not be asked: {error.message}
          {error.hint !== null && `. ${error.hint}`} <code>{error.code}</code>
        </p>
      ))}
    </div>
  );
}
