// Looks at the built page: every screen, light and dark, desktop and phone. `node dev/screenshots.mjs [folder] [filter]`
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import puppeteer from "puppeteer-core";
import { startMock } from "./mock-server.mjs";
import { direct } from "./shots/direct.mjs";
import { group } from "./shots/group.mjs";
import { studio } from "./shots/people.mjs";
import { room } from "./shots/room.mjs";

const folder = resolve(process.argv[2] ?? "test-results");
const filter = process.argv[3] ?? "";
mkdirSync(folder, { recursive: true });
const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};
const WALKS = { direct, group, room };
const problems = [];
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
  ],
});
for (const look of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const [name, walk] of Object.entries(WALKS)) {
      if (!`${look}-${size}-${name}`.includes(filter)) continue;
      const mock = await startMock();
      const rooms = studio({ browser, url: mock.url, folder, look, size, viewport, problems });
      await walk(rooms).catch((error) => problems.push(`${look} ${size} ${name}: ${error.stack}`));
      await rooms.leave();
      mock.close();
    }
  }
}
await browser.close();
for (const problem of problems) console.error(problem);
console.log(`screenshots in ${folder}`);
process.exitCode = problems.length > 0 ? 1 : 0;
