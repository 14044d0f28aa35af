import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["source", "module", "development|production"] },
  test: { include: ["packages/*/src/**/*.test.ts"], environment: "node" },
});
