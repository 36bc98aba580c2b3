import type { LineState } from "../../helpers/line.ts";
import type { Fault } from "./fault.ts";
import type { World } from "./world.ts";

const cut =
  (which: keyof World["lines"]): Fault =>
  async ({ lines }, { pick }) => {
    lines[which].set(pick<LineState>(["cut", "cut", "stalled"]));
    return { end: async () => lines[which].set("open") };
  };

export const LINES = {
  "edges cut off": cut("edges"),
  "hub's server cut off": cut("hub"),
  "replica's server cut off": cut("replica"),
  "edges on a bad line": async ({ lines }, random) => {
    lines.edges.set({ random, share: 0.25 });
    return { end: async () => lines.edges.set("open") };
  },
} satisfies { [name: string]: Fault };
