import { chmodSync, existsSync, mkdtempSync, readFileSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PREFIX = "tombolo-test-";

const MEMORY = "/dev/shm";
/** A run of all tests holds less than 2 GB at a time; the rest is for whoever else needs memory. */
const WANTED_BYTES = 4 * 2 ** 30;

/** Below these, runs of the tests keep their servers and files. */
export const roots = (): readonly string[] => [...new Set([tmpdir(), MEMORY])].filter((path) => existsSync(path));

/**
 * A folder for this run's servers and files: in memory where there is plenty. Making a database there costs an eighth of the processor time
 * (measured: 22 ms, against 210 ms on a disk), and none of the tests needs a disk to be slow: what they kill are processes, whose files stay. Runs at
 * length grow larger than memory, and stay on the disk; TEST_DIRECTORY=/path is for all.
 */
export function makeRunDirectory(): string {
  const { TOMBOLO_FAULTS: faults, TOMBOLO_HISTORIES: histories } = process.env;
  const atLength = faults === "full" && histories === undefined;
  const root = process.env.TEST_DIRECTORY || (!atLength && hasPlenty() ? MEMORY : tmpdir());
  const directory = mkdtempSync(join(root, PREFIX));
  // servers run as another account, and reach what lies below by its name
  chmodSync(directory, 0o711);
  return directory;
}

function hasPlenty(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return bavail * bsize >= WANTED_BYTES && Number(available) * 1024 >= 2 * WANTED_BYTES;
  } catch {
    return false;
  }
}
