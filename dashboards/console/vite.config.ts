import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** `npx vite dashboards/console` serves the console while it is worked upon; TOMBOLO_HUB names the hub that answers it. */
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // the hub's Content-Security-Policy allows neither inline scripts nor addresses of data
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // whose code is in the page: in the package, and not served
    license: { fileName: "licenses.md" },
  },
  server: { proxy: { "/v1": process.env.TOMBOLO_HUB ?? "http://127.0.0.1:7443" } },
});
