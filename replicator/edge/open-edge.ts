import { TomboloError } from "../change/error.ts";
import { isPostgres } from "../link/manifest.ts";
import { type Credential, credentialPath, readCredential, writeCredential } from "./credential.ts";
import { enrol } from "./hub-answers.ts";
import { HubClient } from "./hub-client.ts";

export interface EdgePlace {
  /** A SQLite file, or the URL of a Postgres. */
  readonly database: string;
  /** Where the credential is kept; beside a SQLite file where it is not said. */
  readonly credential?: string;
}

export interface Enrolment {
  readonly hub: string;
  readonly code: string;
  /** Of a PEM file with the certificates that the hub's is checked by. */
  readonly ca?: string | null;
}

/**
 * The credential of an edge: the one that it has, or a new one for `enrolment`. A code counts only where there is no credential yet, so that the same
 * command line may start an edge again and again. Throws `EDGE_NOT_ENROLLED` (usage), and what the hub answers to a code.
 */
export async function edgeCredential(place: EdgePlace, enrolment?: Enrolment): Promise<Credential> {
  const path = pathOf(place);
  const known = await readCredential(path);
  if (known !== null) return known;
  if (enrolment === undefined) {
    throw new TomboloError("the database has not been enrolled at a hub", {
      code: "EDGE_NOT_ENROLLED",
      kind: "usage",
      hint: "Ask the hub's operator for a code, and give it once: `tombolo edge --database FILE --hub URL --code CODE`.",
    });
  }
  const { hub, code, ca = null } = enrolment;
  const client = new HubClient({ hub, ca });
  try {
    const { node, token, expires_at: expiresAt } = await enrol(client, code);
    const credential: Credential = { hub, node, token, ca, expiresAt, fresh: true };
    await writeCredential(path, credential);
    return credential;
  } finally {
    await client.close();
  }
}

/** Keeps what has changed of it: the database has begun as what it was enrolled as, or the token was renewed. */
export const keepCredential = (place: EdgePlace, credential: Credential): Promise<void> => writeCredential(pathOf(place), credential);

function pathOf({ database, credential }: EdgePlace): string {
  if (credential !== undefined) return credential;
  if (!isPostgres(database)) return credentialPath(database);
  throw new TomboloError("a Postgres edge needs a place for its credential", {
    code: "EDGE_CREDENTIAL",
    kind: "usage",
    hint: "Name a file: `credential` in edge.yaml, or --credential.",
  });
}
