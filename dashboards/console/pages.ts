import type { Page } from "./page.ts";
import { Overview } from "./pages/overview/overview.tsx";

/** All pages, in the order of the navigation. */
export const PAGES: readonly Page[] = [{ path: "/", title: () => "Overview", component: Overview, nav: { label: "Overview" } }];
