import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const REPLACE = fileURLToPath(new URL("../tools/replace.mjs", import.meta.url));

/** Several processes that put folders and links in the place of the same ones, 200 times each. */
async function replaceBesideEachOther(folder: string): Promise<string> {
  const script = `
    import { mkdirSync, writeFileSync } from "node:fs";
    import { replaceFolder, replaceLink } from ${JSON.stringify(REPLACE)};
    for (let i = 0; i < 200; i++) {
      const fresh = "fresh-" + process.pid;
      mkdirSync(fresh);
      writeFileSync(fresh + "/file", "whole");
      replaceFolder(fresh, "dist");
      replaceLink("dist/file", "link");
    }`;
  const children = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: folder, stdio: ["ignore", "inherit", "pipe"] }),
  );
  const complaints: string[] = [];
  for (const child of children) child.stderr.setEncoding("utf8").on("data", (text: string) => complaints.push(text));
  const ends = await Promise.all(children.map(async (child) => (await once(child, "close"))[0]));
  return ends.every((code) => code === 0) ? "" : complaints.join("");
}

test("builds beside each other put what they made in one place, and none fails", async () => {
  const folder = mkdtempSync(join(tmpdir(), "replace-"));
  mkdirSync(join(folder, "dist"));
  writeFileSync(join(folder, "dist/file"), "old");
  symlinkSync("elsewhere", join(folder, "link"));
  expect(await replaceBesideEachOther(folder)).toBe("");
  expect(readFileSync(join(folder, "dist/file"), "utf8")).toBe("whole");
  expect(readlinkSync(join(folder, "link"))).toBe("dist/file");
  expect(readdirSync(folder).sort()).toEqual(["dist", "link"]);
});
