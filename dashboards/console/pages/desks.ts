import { status } from "../api/live.ts";
import type { Page } from "../page.ts";
import { Audit } from "./audit/audit.tsx";
import { ConflictPage } from "./conflicts/conflict.tsx";
import { Conflicts } from "./conflicts/conflicts.tsx";
import { Edges } from "./edges/edges.tsx";
import { Notifications } from "./notifications/notifications.tsx";
import { ParkedChange } from "./parked/parked-change.tsx";
import { ParkedList } from "./parked/parked-list.tsx";
import { Plan } from "./plan/plan.tsx";
import { Reconcile } from "./reconcile/reconcile.tsx";

/** Over all nodes, as far as they can be asked. */
const waiting = (of: "conflicts_open" | "parked_changes"): number =>
  (status.value?.nodes ?? []).reduce((sum, node) => sum + (node[of] ?? 0), 0);

/** Where people decide and look things up. */
export const DESKS: readonly Page[] = [
  {
    path: "/conflicts",
    title: () => "Conflicts",
    component: Conflicts,
    nav: { label: "Conflicts", badge: () => waiting("conflicts_open") },
  },
  { path: "/conflicts/:node/:id", title: ({ node, id }) => `Conflict ${node}/${id}`, component: ConflictPage },
  {
    path: "/parked",
    title: () => "Parked changes",
    component: ParkedList,
    nav: { label: "Parked", badge: () => waiting("parked_changes") },
  },
  { path: "/parked/:node/:id", title: ({ node, id }) => `Parked change ${node}/${id}`, component: ParkedChange },
  { path: "/reconcile", title: () => "Reconcile", component: Reconcile, nav: { label: "Reconcile" } },
  { path: "/plan", title: () => "Plan", component: Plan, nav: { label: "Plan" } },
  { path: "/edges", title: () => "Edges", component: Edges, nav: { label: "Edges" } },
  { path: "/notifications", title: () => "Notifications", component: Notifications, nav: { label: "Notifications" } },
  { path: "/audit", title: () => "Audit trail", component: Audit, nav: { label: "Audit", adminOnly: true } },
];
