import { defineConfig } from "vite";

// The server that `npm run dev` talks to; the built page is served by that server itself.
const server = "http://127.0.0.1:8080";

export default defineConfig({
  resolve: { conditions: ["source", "module", "browser", "development|production"] },
  build: {
    target: "es2022",
    outDir: "../../dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": server, "/v1": { target: server, ws: true } } },
});
