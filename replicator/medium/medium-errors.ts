import { TomboloError } from "../change/error.ts";

/** What may be wrong with a file that has travelled. Messages name the file and the nodes, never what is in it. */

export const damaged = (file: string, why: string): TomboloError =>
  new TomboloError(`${file} is not a whole medium: ${why}`, {
    code: "MEDIUM_DAMAGED",
    kind: "operator",
    hint: "Copy it again from where it was written; nothing of it was taken.",
  });

export const badSignature = (file: string, source: string): TomboloError =>
  new TomboloError(`${file} is not signed by ${source}`, {
    code: "MEDIUM_SIGNATURE",
    kind: "operator",
    hint: "Nothing of it was taken. Ask where it comes from; check the public key in medium.trust.",
  });

export const badPassphrase = (file: string): TomboloError =>
  new TomboloError(`${file} does not open with the passphrase`, {
    code: "MEDIUM_PASSPHRASE",
    kind: "usage",
    hint: "Give the passphrase that it was exported with, by --passphrase-file or TOMBOLO_PASSPHRASE.",
  });

export const needsPassphrase = (file: string): TomboloError =>
  new TomboloError(`${file} is encrypted`, {
    code: "MEDIUM_PASSPHRASE",
    kind: "usage",
    hint: "Give the passphrase by --passphrase-file or TOMBOLO_PASSPHRASE.",
  });

export const missingFile = (file: string, missing: readonly number[], source: string): TomboloError =>
  new TomboloError(`${file} needs ${missing.length === 1 ? "medium" : "media"} ${missing.join(", ")} of ${source} first`, {
    code: "MEDIUM_GAP",
    kind: "operator",
    hint: `Import ${missing.length === 1 ? "it" : "them"} as well, in any order; if one is lost, run \`tombolo export --again\` at ${source}.`,
  });

export const forked = (file: string, source: string): TomboloError =>
  new TomboloError(`${file} does not go on from the medium that was imported before it`, {
    code: "MEDIUM_FORK",
    kind: "operator",
    hint: `Nothing of it was taken. Export from here and import that at ${source}, which then knows how far this node is.`,
  });

export const answerNeeded = (file: string, source: string): TomboloError =>
  new TomboloError(`${file} goes on from changes that could not all be taken`, {
    code: "MEDIUM_ANSWER",
    kind: "operator",
    hint: `Export from here and import that at ${source}: it then sends what is missing.`,
  });

export const elsewhere = (file: string, source: string, target: string): TomboloError =>
  new TomboloError(`${file} is from ${source} to ${target}, which the topology does not join by a link`, {
    code: "MEDIUM_LINK",
    kind: "usage",
    hint: "Use the topology that has both, and the node that the medium is for.",
  });

export const busy = (peer: string): TomboloError =>
  new TomboloError(`another process exports to ${peer}, or imports from it, at this moment`, {
    code: "MEDIUM_BUSY",
    kind: "retry",
    hint: "Try again when it has ended.",
  });

export const keyUnusable = (file: string, what: string): TomboloError =>
  new TomboloError(`${file} is not ${what}`, {
    code: "MEDIUM_KEY",
    kind: "usage",
    hint: "Make a pair of keys with `tombolo keys create FILE`.",
  });
