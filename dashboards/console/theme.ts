import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "tombolo.theme";
const stored = localStorage.getItem(KEY);

/** `system` follows the browser's wish. */
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "system");

export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(KEY, theme.value);
  });
}
