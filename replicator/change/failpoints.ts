import { TomboloError } from "./error.ts";

/**
 * Places at which a process can be made to die, for trials that show what a crash leaves behind: on either side of what is written down durably, and wherever what
 * one node knows and the other does not is at its largest. `PART.METHOD:before` and `:after` are those of a node (see `Node`): before it is asked, and when it has
 * answered and nobody has heard of it yet.
 */
export const FAILPOINTS = {
  "target.meet:after": "a neighbour has been entered",
  "target.start:after": "tables have been entered as received from there on",
  "target.apply:before": "a packet is here, nothing of it is applied",
  "apply.part": "a part of a packet is applied, in a transaction that is open",
  "apply.before_commit": "a packet is applied with its number and position, in a transaction that is open",
  "target.apply:after": "a packet is applied, and its sender has not heard of it",
  "parked.before_commit": "parked changes were tried again, in a transaction that is open",
  "target.retryParked:after": "parked changes were tried again",
  "log.tick:before": "what is in the log has not been sealed",
  "log.tick:after": "what is in the log is sealed, nothing of it is read",
  "log.acknowledge:before": "the neighbour has it, and the log is still kept for it",
  "log.acknowledge:after": "the log knows how far its neighbour is",
  "log.refresh:before": "a neighbour wants rows, and they are not in the log for it",
  "log.refresh:after": "rows that a neighbour wants are in the log for it, and it wants them still",
  "sent.note:before": "a packet is on its way but for its end",
  "sent.note:after": "a packet is noted as sent, and its end has not left",
  "sent.confirm:after": "packets that the neighbour has are not noted any longer",
  "media.noteTold:after": "what the neighbour told is noted",
  "parked.noteRefused:after": "what the parent has set aside is noted",
  "scopes.choose:after": "the rows of a child were chosen, and it has not been filled by them",
  "scopes.reached:after": "a child has been noted to be where it said it is",
  "installation.apply:after": "what Tombolo needs in a database is there",
  "tokens.redeem:after": "a code is used up, and the edge does not have its token",
  "tokens.rotate:after": "a token has a successor, and the edge does not have it",
  "rejoin.renew:after": "a database has begun a life of its own, and has not forgotten its parent",
  "rejoin.forget:after": "a database has forgotten its parent",
  "rejoin.restart:before": "a side is about to begin anew with its neighbour",
  "rejoin.restart:after": "a side has begun anew, and its neighbour may not have",
  "hub.anew_told": "the hub knows from where on an edge is to begin anew, and has not told",
  "edge.anew_told": "an edge knows from where on it is to begin anew, and nothing has changed",
  "edge.anew_begun": "an edge and its hub have begun anew, and no full sync has",
  "hub.heard": "the hub knows where an edge is, and has not applied what it brings",
  "hub.received": "the hub has applied what an edge brought, and has not answered",
  "hub.answered": "the hub's answer is whole, and may not have left",
  "edge.sent": "an edge's request is whole, and the answer has not begun",
  "edge.told": "an edge knows what became of its packets, and has applied none of the hub's",
  "edge.taken": "an edge has applied all of an answer",
  "edge.credential_drafted": "a credential is written, and not in its place",
  "edge.credential_kept": "a credential is in its place",
} as const;

export type Failpoint = keyof typeof FAILPOINTS;

export const isFailpoint = (name: string): name is Failpoint => Object.hasOwn(FAILPOINTS, name);

let armed: { readonly name: Failpoint; left: number } | undefined;

/**
 * `NAME`, or `NAME:HIT` for the HITth time that the process comes there. Throws `FAILPOINT_UNKNOWN` (usage). Only the command does that, by TOMBOLO_FAILPOINT in its
 * environment; an application that uses the library cannot be made to die.
 */
export function armFailpoint(text: string): void {
  const [, name = "", hit = "1"] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  if (!isFailpoint(name) || Number(hit) === 0) {
    throw new TomboloError(`TOMBOLO_FAILPOINT=${text} is no failpoint`, {
      code: "FAILPOINT_UNKNOWN",
      kind: "usage",
      hint: "It is for trials only: unset it, or take a name of replicator/change/failpoints.ts.",
    });
  }
  armed = { name, left: Number(hit) };
}

export const isArmed = (): boolean => armed !== undefined;

/** Ends the process, as a crash would, when it was told to die here. */
export function failpoint(name: Failpoint): void {
  if (armed === undefined || armed.name !== name) return;
  armed.left -= 1;
  if (armed.left === 0) process.kill(process.pid, "SIGKILL");
}
