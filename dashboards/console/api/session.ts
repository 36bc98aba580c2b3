import { signal } from "@preact/signals";

/** Who the token belongs to, as the hub says. */
export interface Who {
  readonly name: string;
  readonly role: "viewer" | "operator" | "admin" | "node";
  readonly expires_at: string | null;
}

const KEY = "tombolo.token";

/** Kept as long as the tab is open, and nowhere else. */
export const token = signal<string | null>(sessionStorage.getItem(KEY));
/** Null until the hub has said who the token belongs to. */
export const who = signal<Who | null>(null);
/** Why one has to sign in again. */
export const signedOutBecause = signal<string | null>(null);

/** `#token=tbl_…` signs in; it does not stay in the address, nor in the history. */
export function takeTokenFromAddress(): void {
  const match = /^#token=([^&]+)$/.exec(location.hash);
  if (match?.[1] === undefined) return;
  keepToken(decodeURIComponent(match[1]));
  history.replaceState(null, "", location.pathname + location.search);
}

export function keepToken(text: string): void {
  sessionStorage.setItem(KEY, text);
  who.value = null;
  token.value = text;
}

export function endSession(because: string | null): void {
  sessionStorage.removeItem(KEY);
  signedOutBecause.value = because;
  token.value = null;
  who.value = null;
}

/** Whether to show what acts; the hub decides for itself as well. */
export const mayAct = (): boolean => who.value?.role === "operator" || who.value?.role === "admin";
export const isAdmin = (): boolean => who.value?.role === "admin";
