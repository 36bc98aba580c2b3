import { FAILPOINTS, failpoint, isFailpoint } from "../change/failpoints.ts";
import type { Node } from "./node.ts";

type Method = (...given: unknown[]) => unknown;

/** The node, with the failpoints before and after what its parts do. Only where one is armed: otherwise nothing stands between. */
export function failingNode(node: Node): Node {
  const parts = new Set(Object.keys(FAILPOINTS).map((name) => name.split(".")[0] ?? ""));
  const failing = Object.entries(node).map(([name, part]) => [name, parts.has(name) ? failingPart(name, part as object) : part]);
  return Object.fromEntries(failing) as Node;
}

function failingPart(name: string, part: object): object {
  return new Proxy(part, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function") return member;
      const [before, after] = [`${name}.${String(key)}:before`, `${name}.${String(key)}:after`];
      if (!isFailpoint(before) && !isFailpoint(after)) return member.bind(target);
      return async (...given: unknown[]) => {
        if (isFailpoint(before)) failpoint(before);
        const answer = await (member as Method).apply(target, given);
        if (isFailpoint(after)) failpoint(after);
        return answer;
      };
    },
  });
}
