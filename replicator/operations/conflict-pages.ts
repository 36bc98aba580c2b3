import type { NodeName } from "../change/names.ts";
import type { ConflictFilter, ConflictRecord } from "../node/conflict-desk.ts";
import type { Node } from "../node/node.ts";
import type { Topology } from "../topology/topology.ts";

export interface ConflictQuestion {
  readonly filter: ConflictFilter;
  /** Only what this node decided, or whose change came from it. */
  readonly node: NodeName | null;
  /** By node, from where on: the next page. */
  readonly before: ReadonlyMap<string, bigint>;
}

export interface ListedConflict {
  readonly node: NodeName;
  readonly record: ConflictRecord;
}

export interface ConflictPage {
  readonly shown: readonly ListedConflict[];
  /** `NODE/ID` of each node, for `before`; null when that was all. */
  readonly next: readonly string[] | null;
  readonly failed: readonly { readonly node: NodeName; readonly error: unknown }[];
}

type Answer = { readonly node: NodeName; readonly records: readonly ConflictRecord[]; readonly before: bigint | undefined };

/** Those that decide conflicts. A leaf has but what a fill found there. */
export const isParent = ({ links, groups }: Topology, name: string): boolean => [...links, ...groups].some(({ parent }) => parent === name);

/** All nodes that may have some; open ones are at parents only. */
export const conflictNodes = (topology: Topology, { open, node }: { readonly open: boolean; readonly node: string | null }) =>
  topology.nodes.filter(({ name }) => isParent(topology, name) || (!open && (node === null || node === name)));

/**
 * The conflicts of several nodes as one list, newest first, each node's in its own order. A node that cannot be asked is told of beside what
 * the others have. @param reach throws for a node that is away.
 */
export async function conflictPage(
  asked: readonly NodeName[],
  reach: (name: NodeName) => Promise<Node>,
  question: ConflictQuestion,
): Promise<ConflictPage> {
  const failed: { node: NodeName; error: unknown }[] = [];
  const answers = await Promise.all(
    asked.map(async (name): Promise<readonly Answer[]> => {
      try {
        return [await ask(await reach(name), name, question)];
      } catch (error) {
        failed.push({ node: name, error });
        return [];
      }
    }),
  );
  return { ...newestFirst(answers.flat(), question.filter.limit), failed };
}

async function ask({ conflicts }: Node, node: NodeName, question: ConflictQuestion): Promise<Answer> {
  const before = question.before.get(node);
  const records = await conflicts.list({
    ...question.filter,
    // one more tells whether there is a next page
    limit: question.filter.limit + 1,
    ...(before === undefined ? {} : { before }),
    ...(question.node === null || question.node === node ? {} : { childNode: question.node }),
  });
  return { node, records, before };
}

function newestFirst(answers: readonly Answer[], limit: number): Pick<ConflictPage, "shown" | "next"> {
  const given = answers.map((answer) => ({ ...answer, at: 0 }));
  const shown: ListedConflict[] = [];
  const head = (each: (typeof given)[number]): string => each.records[each.at]?.detectedAt.replace("Z", "") ?? "";
  while (shown.length < limit) {
    const first = given.reduce<(typeof given)[number] | null>(
      (best, each) => (best === null || head(each) > head(best) ? each : best),
      null,
    );
    const record = first?.records[first.at];
    if (first === null || record === undefined) break;
    shown.push({ node: first.node, record });
    first.at += 1;
  }
  if (given.every(({ records, at }) => at === records.length)) return { shown, next: null };
  const next = given.flatMap(({ node, records, at, before }) => {
    const last = at === 0 ? before : records[at - 1]?.id;
    return last === undefined ? [] : [`${node}/${last}`];
  });
  return { shown, next };
}
