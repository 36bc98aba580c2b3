import { type ErrorKind, TomboloError } from "../change/error.ts";

/** Names the target, never its address: that may hold a secret, and what the other side says may hold anything. */
function notifyError(target: string, what: string, details: { code: string; kind: ErrorKind; hint: string }): TomboloError {
  return new TomboloError(`the target ${target} ${what}`, details);
}

export const unreachable = (target: string, reason: string): TomboloError =>
  notifyError(target, `cannot be reached (${reason})`, {
    code: "NOTIFY_UNREACHABLE",
    kind: "connect",
    hint: "Check its address and whether this machine may connect to it; messages wait meanwhile.",
  });

export const tooSlow = (target: string, seconds: number): TomboloError =>
  notifyError(target, `has not taken the message within ${seconds} s`, {
    code: "NOTIFY_TIMEOUT",
    kind: "connect",
    hint: "See whether it is overloaded, or raise its `timeout`.",
  });

export const refused = (target: string, answer: string): TomboloError =>
  notifyError(target, `refuses the message: ${answer}`, {
    code: "NOTIFY_REFUSED",
    kind: "operator",
    hint: "See its own log; where it is right, correct its address, its secret or its template.",
  });

export const notTls = (target: string, reason: string): TomboloError =>
  notifyError(target, `cannot be spoken to by TLS (${reason})`, {
    code: "NOTIFY_TLS",
    kind: "operator",
    hint: "Check its certificate, and `tls` and `ca` of the target.",
  });
