import type { Page } from "./page.ts";
import { DESKS } from "./pages/desks.ts";
import { FullSyncPage } from "./pages/full-sync/full-sync-page.tsx";
import { NodePage } from "./pages/node/node-page.tsx";
import { Overview } from "./pages/overview/overview.tsx";

/** All pages, in the order of the navigation. */
export const PAGES: readonly Page[] = [
  { path: "/", title: () => "Overview", component: Overview, nav: { label: "Overview" } },
  { path: "/nodes/:node", title: ({ node = "" }) => node, component: NodePage },
  { path: "/full-sync", title: () => "Full sync", component: FullSyncPage, nav: { label: "Full sync" } },
  ...DESKS,
];
