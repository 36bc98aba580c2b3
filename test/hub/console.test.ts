import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { consoleRoutes } from "../../replicator/hub/routes/console.ts";
import { ask, openHub, type TestHub } from "../helpers/hub.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-console-"));
let hub: TestHub;
beforeAll(async () => {
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html"), "<!doctype html><p>the console</p>");
  writeFileSync(join(folder, "assets/index-abc.js"), `const text = "${"long ".repeat(500)}";`);
  writeFileSync(join(folder, ".sources"), "not for others");
  hub = await openHub({ routes: [consoleRoutes(folder)] });
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

test("the address of the hub leads to the console", async () => {
  for (const path of ["/", "/console"]) {
    const answer = await fetch(hub.url + path, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([302, "/console/"]);
  }
});

test("the document is everybody's, asked for anew each time, and allows nothing from elsewhere and nothing inline", async () => {
  const { status, headers, body } = await ask(hub, "GET", "/console/");
  expect([status, body, headers.get("content-type")]).toEqual([200, "<!doctype html><p>the console</p>", "text/html; charset=utf-8"]);
  expect(headers.get("cache-control")).toBe("no-cache");
  const policy = headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe");
  expect([headers.get("x-content-type-options"), headers.get("referrer-policy")]).toEqual(["nosniff", "no-referrer"]);
  const etag = headers.get("etag") ?? "";
  const again = await fetch(`${hub.url}/console/`, { headers: { "if-none-match": etag } });
  expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
});

test("every page has the same document", async () => {
  const { status, body } = await ask(hub, "GET", "/console/nodes/store-1?tab=tables");
  expect([status, body]).toEqual([200, "<!doctype html><p>the console</p>"]);
});

test("what has its digest in its name is kept for ever, and is sent compressed to whoever takes that", async () => {
  const path = "/console/assets/index-abc.js";
  const { headers } = await ask(hub, "GET", path);
  expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  const sizes: Record<string, number> = {};
  for (const accepted of ["br", "gzip", "identity", "br;q=0, gzip"]) {
    const { encoding, bytes, etag } = await raw(`${hub.url}${path}`, accepted);
    sizes[accepted] = bytes;
    expect(encoding).toBe({ br: "br", gzip: "gzip", identity: undefined }[accepted] ?? (accepted === "identity" ? undefined : "gzip"));
    expect(etag).toContain(encoding ?? "identity");
  }
  expect(sizes.identity).toBeGreaterThan(2_500);
  expect(Math.max(sizes.br as number, sizes.gzip as number)).toBeLessThan(200);
});

test("only what was built is there", async () => {
  for (const path of ["assets/index-old.js", "assets/../../secret.js", "assets/%2e%2e/.sources"]) {
    const { status, body } = await ask(hub, "GET", `/console/${path}`);
    expect([path, status === 404 ? body.code : body]).toEqual([
      path,
      status === 404 ? "ROUTE_UNKNOWN" : "<!doctype html><p>the console</p>",
    ]);
  }
  expect((await ask(hub, "GET", "/console/.sources")).body).toBe("<!doctype html><p>the console</p>");
  expect((await ask(hub, "GET", "/console/assets/index-old.js")).status).toBe(404);
});

test("answers of the API are kept by nobody, as before", async () => {
  const { headers } = await ask(hub, "GET", "/v1/ping");
  expect([headers.get("cache-control"), headers.get("content-security-policy")]).toEqual(["no-store", null]);
});

test("where nothing was built the service says so", async () => {
  const bare = await openHub({ routes: [consoleRoutes(join(folder, "nothing"))] });
  const { status, body } = await ask(bare, "GET", "/console/");
  await bare.close();
  expect([status, body.code, body.hint]).toEqual([404, "ROUTE_UNKNOWN", "Run `npm run build`."]);
});

/** As it comes over the line, which fetch does not show. */
function raw(url: string, accepted: string): Promise<{ encoding: string | undefined; bytes: number; etag: string }> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { "accept-encoding": accepted } }, (answer) => {
      let bytes = 0;
      answer.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      answer.on("end", () => resolve({ encoding: answer.headers["content-encoding"], bytes, etag: answer.headers.etag ?? "" }));
    }).on("error", reject);
  });
}
