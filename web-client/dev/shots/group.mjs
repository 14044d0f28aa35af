// Many people: whom to ring, the grid and its pages, hands, reactions, moderation, another tab.
import { click, openChat, see, signIn } from "./people.mjs";

export async function group({ open, shot, size }) {
  const ivan = await open();
  await signIn(ivan, "ivan");
  await openChat(ivan, "c-bots");
  await shot(ivan, "group");
  await click(ivan, "call-video");
  await ivan.waitForFunction(() => document.querySelectorAll('[data-testid="tile"] video').length >= 5);
  await click(ivan, "toggle-hand");
  await see(ivan, "tile-hand");
  await click(ivan, "toggle-reactions");
  await see(ivan, "reaction");
  await shot(ivan, "reactions");
  await click(ivan, "reaction", '[data-emoji="👏"]');
  await see(ivan, "tile-reaction");
  await new Promise((done) => setTimeout(done, 700));
  await shot(ivan, "grid", true);
  await click(ivan, "toggle-people");
  await see(ivan, "person");
  await shot(ivan, "people");
  await click(ivan, "kick");
  await see(ivan, "kick-dialog");
  await shot(ivan, "kick");
  await ivan.keyboard.press("Escape");
  await click(ivan, "invite");
  await see(ivan, "invite-dialog");
  await shot(ivan, "invite");
  await ivan.keyboard.press("Escape");
  await click(ivan, "panel-close");
  await click(ivan, "end-call");
  await see(ivan, "call-ended");
  await ivan.evaluate(() => document.querySelector(".shell-open .chat-back")?.click());
  await ivan.evaluate(() => document.querySelector(".settings .icon-button")?.click());
  await shot(ivan, "settings");
  await ivan.evaluate(() => document.querySelector(".settings .icon-button")?.click());

  await openChat(ivan, "c-crowd");
  await click(ivan, "call-video");
  await see(ivan, "choose-callees");
  await shot(ivan, "choose");
  await click(ivan, "ring-chosen");
  // One offer more has made room for the pictures of a page.
  const least = size === "phone" ? 6 : 16;
  await ivan.waitForFunction((n) => document.querySelectorAll('[data-testid="tile"] video').length >= n, {}, least);
  await see(ivan, "page-number");
  await shot(ivan, "crowd");
  await click(ivan, "page-next");
  await shot(ivan, "crowd-next");
  await ivan.evaluate(() => window.ringhall.client.request("end_call", { callId: window.ringhall.call.callId }));
  await see(ivan, "call-ended");
  await ivan.close();
}
