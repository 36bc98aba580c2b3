import { nodeName } from "../change/names.ts";
import { CODE_LIFETIME_MS, type Issued, issue, ROTATION_GRACE_MS, rotate } from "../hub/issue.ts";
import { tokenRotated, tokenUnknown } from "../hub/token-errors.ts";
import { tokenReport } from "../hub/token-report.ts";
import { hubOf } from "../lifecycle/tree.ts";
import { ROLES, type TokenDesk, type TokenRecord } from "../node/token-desk.ts";
import type { Topology } from "../topology/topology.ts";
import { durationMs } from "../topology/units.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { assignments, count, numberAtNode, oneOf, optionInvalid } from "./option-values.ts";
import { table } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, flag, list, type RunVerb, text, type VerbInput } from "./verb.ts";
import { whoOf } from "./who.ts";

const MOST = 10_000;

export const tokensCreate: RunVerb = async (context, input) => {
  const wanted = {
    role: oneOf("role", text(input, "role") ?? "", ROLES),
    name: text(input, "name") ?? null,
    node: text(input, "node") ?? null,
    group: text(input, "group") ?? null,
    params: Object.fromEntries(assignments("param", list(input, "param"))),
    lifetimeMs: lifetime("expires", text(input, "expires") ?? "365d"),
    codeLifetimeMs: duration("code-expires", text(input, "codeExpires"), CODE_LIFETIME_MS),
  };
  return atHub(context, async (desk, topology) => {
    const issued = await issue(desk, topology, wanted, whoOf(input));
    const { kind, node, expiresAt } = issued.record;
    show(context, issued);
    const until = expiresAt === null ? "for ever" : `until ${expiresAt}`;
    if (kind === "code") context.out.note(`an enrolment code for ${node}: it works once, ${until}; it is not shown again`);
    else context.out.note(`a token of the role ${wanted.role}, in force ${until}; it is not shown again`);
    return EXIT.done;
  });
};

export const tokensList: RunVerb = async (context, input) => {
  const node = text(input, "node");
  const role = text(input, "role");
  const filter = {
    limit: count("limit", text(input, "limit") ?? "100", MOST),
    inForce: !flag(input, "all"),
    ...(node === undefined ? {} : { node: nodeName(node) }),
    ...(role === undefined ? {} : { role: oneOf("role", role, ROLES) }),
  };
  return atHub(context, async (desk) => {
    const tokens = (await desk.list(filter)).map((record) => tokenReport(record, Date.now()));
    if (context.json) context.out.json({ tokens });
    else if (tokens.length === 0) context.out.line("no tokens");
    else {
      const rows = tokens.map(({ id, kind, role, name, node, group, state, expires_at, last_used_at, handle }) =>
        [id, kind, role, name, node, group, state, expires_at ?? "never", last_used_at, handle].map((cell) => cell ?? "-"),
      );
      const head = ["ID", "KIND", "ROLE", "NAME", "NODE", "GROUP", "STATE", "EXPIRES", "LAST USED", "HANDLE"];
      for (const line of table(head, rows)) context.out.line(line);
    }
    return EXIT.done;
  });
};

export const tokensRotate: RunVerb = async (context, input) => {
  const [id] = ids(input);
  const graceMs = duration("grace", text(input, "grace"), ROTATION_GRACE_MS);
  return atHub(context, async (desk) => {
    if (id === undefined) return EXIT.usage;
    const issued = await rotate(desk, id, graceMs, whoOf(input));
    if (issued === null) throw (await isTokenInForce(desk, id)) ? tokenRotated() : tokenUnknown(id);
    show(context, issued);
    context.out.note(
      `token ${issued.record.id} in the place of ${id}, which works for another ${Math.round(graceMs / 60_000)} min; it is not shown again`,
    );
    return EXIT.done;
  });
};

export const tokensRevoke: RunVerb = async (context, input) => {
  const node = text(input, "node");
  const given = ids(input);
  if (given.length > 0 === (node !== undefined)) {
    throw optionInvalid("which tokens is not said", "Give their ids, or --node for all of an edge.");
  }
  return atHub(context, async (desk) => {
    const chosen = node === undefined ? given : (await desk.list({ limit: MOST, node: nodeName(node), inForce: true })).map(({ id }) => id);
    const revoked: TokenRecord[] = [];
    for (const id of chosen) {
      const record = await desk.revoke(id, whoOf(input));
      if (record === null) throw tokenUnknown(id);
      revoked.push(record);
    }
    if (context.json) context.out.json({ revoked: revoked.map((record) => tokenReport(record, Date.now())) });
    else for (const { id, kind, role, name } of revoked) context.out.line(`${kind} ${id} (${role}, ${name}): revoked`);
    if (revoked.length === 0) context.out.note(`${node} has no token in force`);
    return EXIT.done;
  });
};

/** All are kept in the hub's database. */
async function atHub(context: CommandContext, act: (desk: TokenDesk, topology: Topology) => Promise<ExitCode>): Promise<ExitCode> {
  const topology = await requireTopology(context);
  const hub = hubOf(topology);
  return withNodes(context, [hub], (nodes) => act(reachedNode(nodes, hub.name).tokens, topology));
}

/** The secret alone on standard output, for a script to take. */
function show({ json, out }: CommandContext, { record, secret }: Issued): void {
  if (json) out.json({ token: tokenReport(record, Date.now()), secret });
  else out.line(secret);
}

async function isTokenInForce(desk: TokenDesk, id: bigint): Promise<boolean> {
  const [record] = await desk.list({ limit: 1, before: id + 1n, inForce: true });
  return record?.id === id && record.kind === "token";
}

const ids = (input: VerbInput): readonly bigint[] => input.args.map((arg) => numberAtNode(arg).id);

/** `never` is null. */
const lifetime = (option: string, given: string): number | null => (given === "never" ? null : duration(option, given, 0));

function duration(option: string, given: string | undefined, standard: number): number {
  if (given === undefined) return standard;
  const ms = durationMs(given);
  if (ms !== null && ms > 0) return ms;
  throw optionInvalid(`--${option} is no duration: ${given}`, "Write a number and its unit: 1h, 30d, 365d.");
}
