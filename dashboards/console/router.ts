import { computed, signal } from "@preact/signals";

/** Where the hub serves the console. */
export const BASE = "/console";

const place = signal(read());

/** The path below the console, as `/nodes/store-1`. */
export const path = computed(() => place.value.path);
/** What the address says after the question mark: filters and the like live there. */
export const query = computed(() => new URLSearchParams(place.value.search));

function read(): { readonly path: string; readonly search: string } {
  const { pathname, search } = location;
  const below = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
  return { path: below === "" ? "/" : below, search };
}

/** Links that stay in the console do not load it anew. */
export function startRouter(): void {
  window.addEventListener("popstate", () => {
    place.value = read();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = event.target instanceof Element ? event.target.closest("a") : null;
    if (anchor === null || anchor.target !== "" || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
    if (anchor.pathname !== BASE && !anchor.pathname.startsWith(`${BASE}/`)) return;
    // a jump within the page, such as the one past the navigation
    if (anchor.hash !== "") return;
    event.preventDefault();
    go(anchor.pathname + anchor.search);
  });
}

function go(href: string, replace = false): void {
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  const before = place.peek().path;
  place.value = read();
  if (before !== place.value.path) window.scrollTo(0, 0);
}

/** The address of a page, such as `hrefTo("/conflicts", { status: "open" })`; members that are null or empty are left out. */
export function hrefTo(to: string, params: Readonly<Record<string, string | null | undefined>> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") search.set(name, value);
  const text = search.toString();
  return `${BASE}${to}${text === "" ? "" : `?${text}`}`;
}

export function navigate(to: string, params?: Readonly<Record<string, string | null | undefined>>): void {
  go(hrefTo(to, params));
}

/** Changes some of what stands after the question mark; null takes it out. By default the way back does not lead through every letter of a filter. */
export function setQuery(changes: Readonly<Record<string, string | null>>, { push = false }: { readonly push?: boolean } = {}): void {
  const params: Record<string, string | null> = { ...Object.fromEntries(query.peek()), ...changes };
  go(hrefTo(path.peek(), params), !push);
}

/** The values of `:names` where the path is of this pattern, else null. */
export function matchPath(pattern: string, text: string): Readonly<Record<string, string>> | null {
  const [wanted, given] = [pattern.split("/"), text.split("/")];
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":") && value !== "") params[part.slice(1)] = decodeURIComponent(value);
    else if (part !== value) return null;
  }
  return params;
}
