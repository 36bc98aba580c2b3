import { TomboloError } from "../change/error.ts";
import { type NodeName, nodeName } from "../change/names.ts";
import type { Role, TokenDesk, TokenRecord } from "../node/token-desk.ts";
import type { Topology } from "../topology/topology.ts";
import { newSecret } from "./secret.ts";

/** An enrolment code that nobody uses ends soon. */
export const CODE_LIFETIME_MS = 24 * 3_600_000;
export const TOKEN_LIFETIME_MS = 365 * 86_400_000;
/** How long the token that was rotated still works, for requests that are on their way. */
export const ROTATION_GRACE_MS = 3_600_000;

/** Whom a token is wanted for, as a person writes it. */
export interface IdentityRequest {
  readonly role: Role;
  /** What it is for; of an edge, its node where it is not said. */
  readonly name: string | null;
  readonly node: string | null;
  readonly group: string | null;
  readonly params: { readonly [name: string]: string };
  /** How long the token lives; null for ever. */
  readonly lifetimeMs: number | null;
  /** Of an enrolment code. */
  readonly codeLifetimeMs: number;
}

/** A secret and what it is. `secret` is shown once and kept nowhere. */
export interface Issued {
  readonly record: TokenRecord;
  readonly secret: string;
}

/**
 * For an edge a one-time enrolment code, for others a token. Throws `TOKEN_IDENTITY`, `GROUP_UNKNOWN` or `NODE_NAME_TAKEN` (usage) where the
 * topology has no place for it.
 */
export async function issue(desk: TokenDesk, topology: Topology, request: IdentityRequest, by: string): Promise<Issued> {
  const { role, params, group, lifetimeMs, codeLifetimeMs } = request;
  const node = role === "node" ? edgeName(topology, request) : noEdge(request);
  const kind = role === "node" ? "code" : "token";
  const { text, handle, hash } = newSecret(kind);
  const expiresInMs = kind === "code" ? codeLifetimeMs : lifetimeMs;
  const name = request.name ?? node ?? role;
  const record = await desk.issue({ kind, name, role, node, group, params, lifetimeMs, expiresInMs }, { handle, hash, by });
  return { record, secret: text };
}

/** A token in the place of another one that is in force, with the same rights; null where it is not. */
export async function rotate(desk: TokenDesk, id: bigint, graceMs: number, by: string): Promise<Issued | null> {
  const { text, handle, hash } = newSecret("token");
  const record = await desk.rotate(id, { handle, hash, by }, graceMs);
  return record === null ? null : { record, secret: text };
}

function noEdge({ role, node, group, params }: IdentityRequest): null {
  if (node === null && group === null && Object.keys(params).length === 0) return null;
  throw identity(`a token of the role ${role} has no node, group or parameters`, "Give the role node for an edge.");
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

function edgeName(topology: Topology, request: IdentityRequest): NodeName {
  const { node, group: groupName, params } = request;
  if (node === null || !NAME.test(node)) {
    throw identity("an edge needs a name", "Use 1 to 63 letters, digits, `-`, `_` and `.`, a letter or digit first.");
  }
  const group = topology.groups.find(({ name }) => name === groupName);
  if (group === undefined) {
    const known = topology.groups.map(({ name }) => name);
    throw new TomboloError(groupName === null ? "an edge belongs to a group" : `the topology has no group ${groupName}`, {
      code: "GROUP_UNKNOWN",
      kind: "usage",
      hint: known.length === 0 ? "Declare one in `groups` of the topology." : `Its groups are ${known.join(", ")}.`,
    });
  }
  if (topology.nodes.some(({ name }) => name === node)) {
    throw new TomboloError(`${node} is a node of the topology`, {
      code: "NODE_NAME_TAKEN",
      kind: "usage",
      hint: "Give the edge a name of its own: nodes of the topology are reached directly.",
    });
  }
  const [wanted, given] = [[...group.params].sort(), Object.keys(params).sort()];
  if (wanted.join() !== given.join()) {
    const needed = wanted.length === 0 ? "no parameters" : wanted.join(", ");
    throw identity(`an edge of ${group.name} is given ${needed}`, "Give each of them, and no other.");
  }
  return nodeName(node);
}

const identity = (message: string, hint: string): TomboloError =>
  new TomboloError(message, { code: "TOKEN_IDENTITY", kind: "usage", hint });
