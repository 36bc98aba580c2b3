// Makes sure that the browser tests have a Chromium: Debian's package, installed by apt where that may be done. TOMBOLO_CHROMIUM names another one.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const file = process.env.TOMBOLO_CHROMIUM ?? "/usr/bin/chromium";

if (!existsSync(file)) {
  const mayInstall = file === "/usr/bin/chromium" && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  const apt = (...args) =>
    spawnSync("apt-get", ["-q", "-y", ...args], { stdio: "inherit", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  if (mayInstall) {
    console.log("chromium is missing: installing Debian's package");
    if (apt("install", "--no-install-recommends", "chromium").status !== 0) {
      apt("update");
      apt("install", "--no-install-recommends", "chromium");
    }
  }
  if (!existsSync(file)) {
    console.error(`${file} is missing: run \`apt-get install chromium\` as root, or name a Chromium in TOMBOLO_CHROMIUM`);
    process.exitCode = 1;
  }
}
