import { TomboloError } from "../change/error.ts";
import { createKeys } from "../medium/keys.ts";
import { EXIT } from "./exit-codes.ts";
import type { RunVerb } from "./verb.ts";

export const keysCreate: RunVerb = async (context, { args }) => {
  const file = args[0] ?? "";
  try {
    await createKeys(file);
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    const there = cause.code === "EEXIST";
    throw new TomboloError(
      there ? `${cause.path ?? file} is there already` : `${file} cannot be written: ${cause.code ?? "unknown error"}`,
      {
        code: there ? "FILE_EXISTS" : "FILE_NOT_WRITABLE",
        kind: "usage",
        hint: "Give another name: a key is never overwritten.",
        cause,
      },
    );
  }
  if (context.json) context.out.json({ private_key: file, public_key: `${file}.pub` });
  else context.out.line(`${file} signs what is exported here; give ${file}.pub to the other side, for its medium.trust`);
  return EXIT.done;
};
