import { hearMedium, type Imported, importMedium } from "./import-medium.ts";
import { inOrder, type Verified } from "./import-order.ts";
import { forked } from "./medium-errors.ts";
import { type Place, placeOf } from "./medium-state.ts";
import type { MediumReader } from "./read-medium.ts";
import { otherOf, remember, type TravelOptions } from "./traveller.ts";

/** What came of one medium. */
export interface MediumOutcome {
  readonly medium: MediumReader;
  readonly place: Place;
  /** Null where it was passed over. */
  readonly taken: Imported | null;
}

/**
 * Takes the media of one source, given in any order; tells of each as it is done. Throws `MEDIUM_GAP` before anything is taken, `MEDIUM_FORK`, and what
 * `importMedium` throws.
 */
export async function importMedia(options: {
  readonly media: readonly Verified[];
  /** Null where none is given. */
  readonly passphrase: string | null;
  /** This end of the link, as it is to be for the medium: what that says of the topology comes first. */
  readonly travel: (medium: MediumReader) => Promise<TravelOptions>;
  readonly told: (outcome: MediumOutcome) => void;
}): Promise<void> {
  const { media, passphrase, travel, told } = options;
  const [first] = media;
  if (first === undefined) return;
  const at = await travel(first.medium);
  const source = otherOf(at);
  const { state } = await remember(at.node, source);
  for (const { medium, digest } of inOrder(media, state)) {
    const given = { ...(await travel(medium)), medium, digest, passphrase };
    const place = placeOf((await remember(given.node, source)).state, { ...medium.head, digest });
    if (place !== "next" && place !== "taken") await hearMedium(given);
    if (place === "fork" || place === "ahead") throw forked(medium.file, source);
    told({ medium, place, taken: place === "next" ? await importMedium(given) : null });
  }
}
