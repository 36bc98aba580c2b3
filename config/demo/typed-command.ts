import { tombolo } from "./child-processes.ts";
import { excerpt, indent, say } from "./narrator.ts";
import type { Shop } from "./shop-servers.ts";

export function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

/** Runs a verb as a person would type it, shows the beginning of its answer, and answers all of it. */
export async function command(shop: Shop, args: readonly string[], { lines = 10, exit = 0 } = {}): Promise<string> {
  say(`$ npx tombolo -c ${shop.topology} ${args.join(" ")}`);
  const { status, stdout, stderr } = await tombolo(["-c", shop.topology, ...args], shop.env);
  if (stdout.trim() !== "") say(indent(excerpt(stdout, lines)));
  if (exit !== 0) say(`    exit code ${status}`);
  check(status === exit, `tombolo ${args.join(" ")} ended with exit code ${status}, not ${exit}\n${excerpt(stdout + stderr, 20)}`);
  return stdout;
}
