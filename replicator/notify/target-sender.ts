import type { NotificationTarget } from "../topology/topology.ts";
import type { TargetSender } from "./target.ts";

/** What a way of sending needs is loaded where a topology has one. */
export async function targetSender(target: NotificationTarget): Promise<TargetSender> {
  if (target.type === "webhook") return (await import("./webhook.ts")).webhookSender(target);
  return (await import("./email.ts")).emailSender(target);
}
