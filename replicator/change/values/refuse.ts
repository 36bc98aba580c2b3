import { TomboloError } from "../error.ts";
import type { Column, Engine } from "../shape.ts";

/** Ends a conversion: throws `VALUE_REFUSED`. The reason must not hold the value. */
export type Refuse = (reason: string) => never;

const NAMES: { readonly [engine in Engine]: string } = { postgres: "Postgres", sqlite: "SQLite" };

export function refuser(from: Column, fromEngine: Engine, to: Column, toEngine: Engine): Refuse {
  const source = `${NAMES[fromEngine]} ${from.type === "" ? "column without a type" : from.type}`;
  const target = `${NAMES[toEngine]} ${to.type === "" ? "column without a type" : to.type}`;
  return (reason) => {
    throw new TomboloError(`column ${to.name}: a value of ${source} has no exact form in ${target}: ${reason}`, {
      code: "VALUE_REFUSED",
      kind: "operator",
      hint: "Change the value, or the type of one of the two columns; docs/values.md has the mapping.",
    });
  };
}
