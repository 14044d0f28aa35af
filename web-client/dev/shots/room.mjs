// A room by link: its door, a guest who waits, and who lets them in.
import { byId, click, see, signIn } from "./people.mjs";

export async function room({ open, shot }) {
  const ivan = await open();
  await signIn(ivan, "ivan");
  await click(ivan, "new-meeting");
  await see(ivan, "lobby-preview");
  await click(ivan, "room-lobby");
  await ivan.waitForSelector(`${byId("room-lobby")}:checked`);
  await shot(ivan, "room-door");
  const path = await ivan.evaluate(() => location.pathname.slice(1));
  const guest = await open(`${path}#guest-${path.split("/")[1]}`);
  await see(guest, "guest-name");
  await shot(guest, "room-guest");
  await guest.type(byId("guest-name"), "Олена");
  await click(guest, "guest-enter");
  await click(guest, "room-join");
  await see(guest, "room-waiting");
  await shot(guest, "room-early");

  await click(ivan, "room-join");
  await see(ivan, "call-view", '[data-status="connected"]');
  await see(ivan, "alone-prompt");
  await shot(ivan, "room-alone");
  await click(ivan, "toggle-people");
  await see(ivan, "waiter");
  await shot(ivan, "room-waiting-list");
  await shot(guest, "room-waiting");
  await click(ivan, "lock");
  await click(ivan, "admit");
  await see(guest, "call-view", '[data-status="connected"]');
  await shot(guest, "room-inside");
  const anna = await open(path);
  await shot(anna, "room-sign-in");
  await anna.close();
}
