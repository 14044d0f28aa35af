// People in windows of their own, as the walks use them.
import { join } from "node:path";
import { fakeMedia } from "../fake-media.mjs";

export const byId = (name, more = "") => `[data-testid="${name}"]${more}`;
export async function click(page, name, more) {
  try {
    await page.locator(byId(name, more)).setTimeout(8_000).click();
  } catch {
    throw new Error(`cannot click ${name}`);
  }
}
export const see = (page, name, more) => page.waitForSelector(byId(name, more), { timeout: 8_000 });

export const signIn = async (page, login) => {
  await click(page, "demo-user", `[data-login="${login}"]`);
  await see(page, "chat-item");
};

export const openChat = async (page, id) => {
  // On a phone the list is behind the open chat.
  await page.evaluate(() => document.querySelector(".shell-open .chat-back")?.click());
  await click(page, "chat-item", `[data-chat-id="${id}"]`);
  await page.waitForSelector(byId("message"));
};

/** Until everything that moves has come to rest. */
const settled = (page) =>
  page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((a) => a.effect.getTiming().iterations !== Number.POSITIVE_INFINITY)
        .map((a) => a.finished.catch(() => {})),
    ).then(() => new Promise((r) => setTimeout(r, 400))),
  );

/** What one look (light or dark, desktop or phone) needs: windows and pictures of them. */
export function studio({ browser, url, folder, look, size, viewport, problems }) {
  const contexts = [];
  return {
    size,
    async leave() {
      for (const context of contexts) await context.close();
    },
    async open(path = "", lang = "ru") {
      const context = await browser.createBrowserContext();
      contexts.push(context);
      const page = await context.newPage();
      page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      await page.setViewport(viewport);
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: look }]);
      await page.evaluateOnNewDocument(fakeMedia);
      await page.evaluateOnNewDocument((l) => localStorage.setItem("ringhall.lang", l), lang);
      await page.goto(url + path, { waitUntil: "networkidle0" });
      return page;
    },
    async shot(page, name, still = false) {
      if (!still) await settled(page);
      await page.screenshot({ path: join(folder, `${look}-${size}-${name}.png`) });
    },
  };
}
