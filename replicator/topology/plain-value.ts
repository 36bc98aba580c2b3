import type { Path } from "./source.ts";

/** What is at a path; undefined where there is nothing. Looks at own keys only. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as { readonly [key: string | number]: unknown })[step];
  }
  return value;
}

/** Puts a value where there is one already. */
export function setAt(root: unknown, path: Path, value: unknown): void {
  const parent = valueAt(root, path.slice(0, -1)) as { [key: string | number]: unknown };
  parent[path.at(-1) ?? ""] = value;
}

/** A copy of maps and lists; what is in them is the same. */
export function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.assign(Object.create(null), Object.fromEntries(Object.entries(value).map(([key, child]) => [key, copyOf(child)])));
}
