// Puts a folder or a link in the place of another, where other builds may be doing the same: runs of the tests beside each other each look whether dist/ is current.
import { mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** What stands at `to` is moved away in one step, so that nobody finds half of it. */
export function replaceFolder(from, to) {
  const aside = mkdtempSync(join(dirname(to), `.${basename(to)}-`));
  try {
    for (let left = 100; ; left--) {
      moveAway(to, join(aside, String(left)));
      try {
        return renameSync(from, to);
      } catch (error) {
        // another one was put there meanwhile
        if (left === 0 || (error.code !== "ENOTEMPTY" && error.code !== "EEXIST")) throw error;
      }
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function moveAway(path, aside) {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

/** A link is there at any moment, the old one or the new one. */
export function replaceLink(target, path) {
  const aside = mkdtempSync(`${path}-`);
  try {
    symlinkSync(target, join(aside, "link"));
    renameSync(join(aside, "link"), path);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
