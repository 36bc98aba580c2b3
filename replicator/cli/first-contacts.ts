import { linkName } from "../lifecycle/tree.ts";
import type { LinkContact } from "../operations/first-contacts.ts";
import type { Output } from "./output.ts";

export function printContacts(contacts: readonly LinkContact[], out: Output): void {
  for (const { link, tables } of contacts) {
    const { parent, child } = link;
    out.line(`first contact ${linkName(link)}: both hold rows`);
    for (const { table, direction, equal, differing, onlyParent, onlyChild, isPartial } of tables) {
      const counts = [
        `${equal} equal`,
        `${differing} differ`,
        ...(direction === "up" ? [] : [`${onlyParent} only at ${parent}`]),
        `${onlyChild} only at ${child}`,
      ];
      out.line(`  ${table}: ${counts.join(", ")}${isPartial ? " (of the first rows; the table is large)" : ""}`);
    }
  }
}
