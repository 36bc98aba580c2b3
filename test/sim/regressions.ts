import type { Plan } from "./plan.ts";

/** Plans that the product once failed, as the simulation had shrunk them. A failing run prints its own as the counterexample: put it here, with a name that says what went wrong. */
export const REGRESSIONS: { readonly [name: string]: Plan } = {
  "a row is offered to a parent that has just deleted it": {
    tree: "three levels with siblings",
    rule: { policy: "merge", detect: "column", groups: [], mergeColumns: { n: "counter" }, otherwise: "parent_wins", module: null },
    events: [
      { event: { kind: "second replicator" }, after: 3 },
      {
        event: {
          kind: "write",
          node: 0,
          rows: [{ key: 1, a: false, b: false, add: 0, remove: false }],
          lasts: 0,
          gives: "commit",
          durable: false,
        },
        after: 54,
      },
      {
        event: {
          kind: "write",
          node: 2,
          rows: [
            { key: 1, a: false, b: false, add: 0, remove: false },
            { key: 0, a: false, b: false, add: 0, remove: true },
          ],
          lasts: 31,
          gives: "commit",
          durable: false,
        },
        after: 27,
      },
      {
        event: {
          kind: "write",
          node: 0,
          rows: [{ key: 0, a: false, b: false, add: 0, remove: true }],
          lasts: 0,
          gives: "rollback",
          durable: false,
        },
        after: 1,
      },
      { event: { kind: "second replicator" }, after: 73 },
      {
        event: {
          kind: "write",
          node: 1,
          rows: [{ key: 1, a: false, b: false, add: 0, remove: true }],
          lasts: 0,
          gives: "commit",
          durable: false,
        },
        after: 15,
      },
    ],
    maxRows: 2,
    nodes: [
      { serial: false, clockMs: 0 },
      { serial: false, clockMs: 0 },
      { serial: true, clockMs: 0 },
      { serial: false, clockMs: 0 },
      { serial: false, clockMs: 0 },
    ],
    seed: 1677520043,
  },
};
