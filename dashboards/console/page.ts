import type { ComponentType } from "preact";

export interface PageProps {
  /** Of the `:names` in the page's path. */
  readonly params: Readonly<Record<string, string>>;
}

/** A page of the console. Whoever adds one adds a line to pages.ts. */
export interface Page {
  /** Below the console, as `/nodes/:node`. */
  readonly path: string;
  readonly title: (params: Readonly<Record<string, string>>) => string;
  readonly component: ComponentType<PageProps>;
  /** In the navigation, where it belongs there. */
  readonly nav?: {
    readonly label: string;
    /** How much waits there for a person; nothing is shown for 0. */
    readonly badge?: () => number;
    readonly adminOnly?: boolean;
  };
}
