import type { System } from "./system.ts";

/** Nothing captures: what writers could have without any replication. */
export const bare: System = {
  name: "bare",
  install: async () => ({
    pid: null,
    start: async () => {},
    pause: async () => {},
    backends: async () => [],
    assertAlive: () => {},
    remove: async () => {},
  }),
};
