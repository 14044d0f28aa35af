// Looks at the built page: every screen, light and dark, desktop and phone. `node dev/screenshots.mjs [folder] [filter]`
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import puppeteer from "puppeteer-core";
import { fakeMedia } from "./fake-media.mjs";
import { startMock } from "./mock-server.mjs";

const folder = resolve(process.argv[2] ?? "test-results");
const filter = process.argv[3] ?? "";
mkdirSync(folder, { recursive: true });
const mock = await startMock();
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
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const problems = [];

async function open(look, viewport, lang = "ru") {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: look }]);
  await page.evaluateOnNewDocument(fakeMedia);
  await page.evaluateOnNewDocument((l) => localStorage.setItem("ringhall.lang", l), lang);
  await page.goto(mock.url, { waitUntil: "networkidle0" });
  return page;
}
const byId = (name, more = "") => `[data-testid="${name}"]${more}`;
const click = (page, name, more) => page.locator(byId(name, more)).click();
const see = (page, name, more) => page.waitForSelector(byId(name, more), { timeout: 8_000 });
const signIn = async (page, login) => {
  await click(page, "demo-user", `[data-login="${login}"]`);
  await see(page, "chat-item");
};
const chat = async (page, id) => {
  await click(page, "chat-item", `[data-chat-id="${id}"]`);
  await page.waitForSelector(byId("message"));
};
const settled = (page) =>
  page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((a) => a.effect.getTiming().iterations !== Number.POSITIVE_INFINITY)
        .map((a) => a.finished),
    ).then(() => new Promise((r) => setTimeout(r, 500))),
  );

async function walk(look, size, viewport) {
  const shot = async (page, name) => {
    await settled(page);
    await page.screenshot({ path: join(folder, `${look}-${size}-${name}.png`) });
  };
  const ivan = await open(look, viewport);
  await see(ivan, "demo-user");
  await shot(ivan, "sign-in");
  await signIn(ivan, "ivan");
  await shot(ivan, "chats");
  await chat(ivan, "c-direct");
  await shot(ivan, "chat");
  const maria = await open(look, viewport);
  await signIn(maria, "maria");
  await click(ivan, "call-video");
  await see(maria, "incoming-call");
  await shot(maria, "ring");
  await see(ivan, "call-view", '[data-status="ringing"]');
  await shot(ivan, "ringing");
  await click(maria, "incoming-accept");
  await see(ivan, "call-view", '[data-status="connected"]');
  await see(ivan, "tile", '[data-user-id="u-maria"] video');
  await shot(ivan, "one-to-one");
  await click(maria, "toggle-mic");
  await click(maria, "toggle-camera");
  await see(ivan, "tile", '[data-user-id="u-maria"][data-muted="true"]');
  await shot(ivan, "one-to-one-no-camera");
  await click(maria, "toggle-screen");
  await see(ivan, "tile", '[data-source="screen"]');
  await shot(ivan, "screen");
  await click(ivan, "leave-call");
  await see(ivan, "call-ended");
  await shot(ivan, "ended");
  await click(ivan, "call-audio");
  await see(maria, "incoming-call");
  await shot(maria, "ring-audio");
  await click(maria, "incoming-decline");
  await see(ivan, "toast");
  await shot(ivan, "declined");
  await maria.close();
  if (size === "phone") await ivan.click(".chat-back");
  await chat(ivan, "c-bots");
  await shot(ivan, "group");
  await click(ivan, "call-video");
  await ivan.waitForFunction(() => document.querySelectorAll('[data-testid="tile"] video').length >= 5);
  await shot(ivan, "grid");
  await click(ivan, "end-call");
  await see(ivan, "call-ended");
  await ivan.evaluate(() => document.querySelector(".settings .icon-button")?.click());
  if (size === "phone") await ivan.evaluate(() => document.querySelector(".chat-back")?.click());
  await shot(ivan, "settings");
  await ivan.close();
}

for (const look of ["light", "dark"]) {
  for (const [size, viewport] of [
    ["desktop", DESKTOP],
    ["phone", PHONE],
  ]) {
    if (!`${look}-${size}`.includes(filter)) continue;
    await walk(look, size, viewport).catch((error) => problems.push(`${look} ${size}: ${error.stack}`));
  }
}
await browser.close();
mock.close();
for (const problem of problems) console.error(problem);
console.log(`screenshots in ${folder}`);
process.exitCode = problems.length > 0 ? 1 : 0;
