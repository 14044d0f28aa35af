// Rooms by link: their door, their guests, their waiting list.
import { randomUUID } from "node:crypto";
import { people, userOf } from "./people.mjs";

/** `[status, body]` for what is asked of rooms and invitations; null when it is something else. */
export function rooms(world, me, [kind, name, part], body) {
  const answer = (chat) => ({ chat: world.chatView(chat, me.id), name: chat.name, url: `/r/${chat.name}` });
  const find = () => world.chats.find((chat) => chat.type === "room" && chat.name === name);
  if (kind === "rooms" && !name) {
    const chat = make(world, body.name ?? randomUUID().slice(0, 12), me, body.lobby ?? false);
    return [201, answer(chat)];
  }
  if (kind === "rooms" && !find()) return [404, { code: "NOT_FOUND" }];
  if (kind === "rooms" && part === "enter") {
    admitMember(world, find(), me);
    return [200, answer(find())];
  }
  if (kind === "rooms" && part === "invites") {
    const url = `/r/${name}#guest-${name}`;
    return [201, { id: "i1", code: `guest-${name}`, url, expiresAt: null, maxUses: null, uses: 0, hasPassword: false }];
  }
  if (kind === "rooms") {
    find().lobby = body.lobby;
    for (const { id } of find().members) world.ev(id, "chat_updated", world.chatView(find(), id));
    return [200, answer(find())];
  }
  if (kind !== "invites") return null;
  const chat = world.chats.find((c) => `guest-${c.name}` === body.code);
  if (!chat) return [404, { code: "NOT_FOUND" }];
  if (name === "look") return [200, { room: chat.name, lobby: chat.lobby, passwordNeeded: false, expiresAt: null }];
  const guest = { id: `u-${randomUUID()}`, name: body.name, avatar: null, login: randomUUID() };
  people.push(guest);
  admitMember(world, chat, guest);
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  return [
    200,
    { token: guest.id, expiresAt, user: userOf(guest), chat: world.chatView(chat, guest.id), name: chat.name },
  ];
}

export function make(world, name, owner, lobby) {
  const chat = { id: `c-${name}`, type: "room", name, lobby, members: [], messages: [] };
  world.chats.push(chat);
  admitMember(world, chat, owner, "owner");
  return chat;
}

function admitMember(world, chat, person, role = "member") {
  if (!chat.members.some(({ id }) => id === person.id)) chat.members.push({ ...userOf(person), role });
  for (const { id } of chat.members) world.ev(id, "chat_updated", world.chatView(chat, id));
}

/** Puts somebody on the waiting list of a call, and tells its moderators. */
export function wait(world, call, me, device) {
  call.waiting.set(me.id, {
    ...userOf(me),
    guest: !me.login.match(/^[a-z]+$/),
    since: new Date().toISOString(),
    device,
  });
  tellWaiting(world, call);
  return { outcome: "waiting", callId: call.id, status: call.status };
}

export function decide(world, call, me, userId, status) {
  const waiter = call.waiting.get(userId);
  call.waiting.delete(userId);
  tellWaiting(world, call);
  if (status === "admitted") call.admitted.add(userId);
  const d = {
    callId: call.id,
    chatId: call.chat.id,
    status,
    device: waiter?.device ?? "",
    by: userOf(me),
    timestamp: "",
  };
  world.ev(userId, "waiting_status", d);
}

export function tellWaiting(world, call) {
  const waiting = [...call.waiting.values()].map(({ device, ...waiter }) => waiter);
  for (const id of call.in.keys())
    if (world.moderates(call, id)) world.rt(id, "waiting_list", { callId: call.id, waiting });
}
