// The SDK stays small: what a host page pays for @ringhall/core, gzipped as a server would send it.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 40 * 1024;
const file = new URL("../packages/core/dist/core.js", import.meta.url);
const size = gzipSync(readFileSync(file), { level: 9 }).length;
console.log(`@ringhall/core: ${size} bytes gzipped (limit ${LIMIT})`);
if (size > LIMIT) {
  console.error(`@ringhall/core is ${size - LIMIT} bytes over its limit; find what grew before raising it.`);
  process.exit(1);
}
