// Two people: signing in, chats, a ring, a call, its end, and what the chat remembers of it.
import { click, openChat, see, signIn } from "./people.mjs";

export async function direct({ open, shot }) {
  const ivan = await open();
  await see(ivan, "demo-user");
  await shot(ivan, "sign-in");
  await signIn(ivan, "ivan");
  await shot(ivan, "chats");
  await click(ivan, "calls");
  await see(ivan, "calls-entry");
  await shot(ivan, "calls");
  await ivan.keyboard.press("Escape");
  await openChat(ivan, "c-direct");
  await shot(ivan, "chat");
  await click(ivan, "call-details-open");
  await see(ivan, "details-person");
  await shot(ivan, "call-details");
  await ivan.keyboard.press("Escape");
  await click(ivan, "call-video");
  await see(ivan, "ring-anyway");
  await shot(ivan, "ring-anyway");
  await ivan.keyboard.press("Escape");

  const maria = await open();
  await signIn(maria, "maria");
  await ivan.waitForSelector('[data-chat-id="c-direct"][data-online="true"]');
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
  await click(ivan, "toggle-chat");
  await ivan.type('.side [data-testid="message-input"]', "Ссылка на макеты в шапке чата");
  await ivan.keyboard.press("Enter");
  await see(maria, "toggle-chat-badge");
  await shot(ivan, "chat-in-call");
  await click(ivan, "panel-close");
  await click(ivan, "devices");
  await see(ivan, "device-dialog");
  await shot(ivan, "devices");
  await ivan.keyboard.press("Escape");
  await click(maria, "toggle-screen");
  await see(ivan, "tile", '[data-source="screen"]');
  await shot(ivan, "screen");

  const sergey = await open();
  await signIn(sergey, "sergey");
  await openChat(sergey, "c-sergey");
  await click(sergey, "call-audio");
  await see(ivan, "incoming-call");
  await shot(ivan, "call-waiting");
  await click(ivan, "incoming-decline");
  await sergey.close();

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
  await ivan.close();
}
