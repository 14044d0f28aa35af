import { effect, signal } from "@preact/signals";
import { type CallEnd, type Chat, RinghallError } from "@ringhall/core";
import type { Key } from "../i18n/index.ts";
import { call, chats, client, connection, me, onClient, startClient } from "./app.ts";
import { rest, session, setSession } from "./auth.ts";
import { fragment, goTo, roomName } from "./route.ts";

/** How far somebody is who came by a room's link. */
export type Entrance =
  | { step: "opening" }
  /** A guest, who says their name first. */
  | { step: "guest"; passwordNeeded: boolean }
  | { step: "ready" }
  /** On the waiting list. */
  | { step: "waiting"; callId: string }
  /** A room whose owner has to come first. */
  | { step: "early" }
  | { step: "failed"; why: Key };

export interface LobbyChoice {
  mic: boolean;
  camera: boolean;
}

export const entrance = signal<Entrance>({ step: "opening" });
export const roomChatId = signal<string | null>(null);
/** What is switched on when the room is entered. */
export const lobbyChoice = signal<LobbyChoice>({ mic: true, camera: true });
/** Why one is outside again, after having been in. */
export const left = signal<CallEnd["how"] | null>(null);
/** A command is under way. */
export const entering = signal(false);

export function roomChat(): Chat | null {
  return chats.value.find(({ id }) => id === roomChatId.value) ?? null;
}

const why = (error: unknown): Key => {
  const code = error instanceof RinghallError ? error.code : "INTERNAL";
  if (code === "NOT_FOUND") return "room.notFound";
  return code === "GONE" ? "room.inviteOver" : `error.${code}`;
};

/** Opens the room of the address: its members at once, others as guests if the link brings an invitation. */
export async function openRoom(name: string): Promise<void> {
  entrance.value = { step: "opening" };
  left.value = null;
  try {
    if (session.value) {
      const { chat } = await rest.enterRoom(name);
      roomChatId.value = chat.id;
      entrance.value = { step: "ready" };
    } else if (fragment.value) {
      const { passwordNeeded } = await rest.lookAtInvite(fragment.value);
      entrance.value = { step: "guest", passwordNeeded };
    }
  } catch (error) {
    entrance.value = { step: "failed", why: why(error) };
  }
}

/** With the name that a guest gives; a wrong password throws `UNAUTHENTICATED`. */
export async function enterAsGuest(name: string, password: string): Promise<void> {
  const { chat, ...guest } = await rest.enterAsGuest({ code: fragment.value, name, ...(password && { password }) });
  setSession(guest);
  roomChatId.value = chat;
  await startClient();
  entrance.value = { step: "ready" };
}

/** Into the room's call; the first one makes it. Whoever has to wait is told, and comes in when let in. */
export async function enterRoom(): Promise<void> {
  const chat = roomChat();
  const current = client.value;
  if (!chat || !current || entering.value) return;
  entering.value = true;
  left.value = null;
  try {
    if (!chat.activeCall) {
      const started = await current.startCall(chat, "video", lobbyChoice.value);
      if (started.outcome === "created") return;
    }
    const { callId } = roomChat()?.activeCall ?? { callId: "" };
    const joined = await current.joinCall(roomChat() ?? chat, { ...lobbyChoice.value, takeover: true, wait: true });
    entrance.value = joined ? { step: "ready" } : { step: "waiting", callId };
  } catch (error) {
    const locked = error instanceof RinghallError && error.code === "ROOM_LOCKED";
    // Only who runs the room may begin: this page comes in by itself when they have.
    entrance.value = locked && !chat.activeCall ? { step: "early" } : { step: "failed", why: why(error) };
  } finally {
    entering.value = false;
  }
}

export function stopWaiting(): void {
  const at = entrance.value;
  if (at.step === "waiting") client.value?.stopWaiting(at.callId).catch(() => {});
  entrance.value = { step: "ready" };
}

/** Makes a room of one's own and goes to its door. */
export async function newMeeting(): Promise<void> {
  const { name } = await rest.createRoom();
  goTo(`/r/${encodeURIComponent(name)}`);
}

/** May change the room: its owner and admins. */
export function runsRoom(chat: Chat | null): boolean {
  const role = chat?.members.find(({ id }) => id === me.value?.id)?.role;
  return role === "owner" || role === "admin";
}

onClient((next) => {
  next.on("call", (session) => {
    if (!session || session.view.chatId !== roomChatId.value) return;
    entrance.value = { step: "ready" };
    session.on("ended", ({ how }) => {
      left.value = how;
    });
  });
  next.on("event", (event) => {
    const at = entrance.value;
    if (event.op !== "waiting_status" || at.step !== "waiting" || event.d.callId !== at.callId) return;
    if (event.d.device !== next.device) return;
    if (event.d.status === "admitted") void enterRoom();
    else if (event.d.status === "denied") entrance.value = { step: "failed", why: "room.denied" };
    else if (event.d.status === "expired") entrance.value = { step: "failed", why: "room.expired" };
    else if (event.d.status === "ended") entrance.value = { step: "ready" };
  });
});

/** Follows the address, and a meeting that begins while somebody is early. */
export function watchRoom(): void {
  effect(() => {
    const name = roomName.value;
    const signedIn = session.value !== null;
    if (name === null) roomChatId.value = null;
    else if (entrance.peek().step !== "guest" || !signedIn) void openRoom(name);
  });
  effect(() => {
    const live = roomChat()?.activeCall;
    const online = connection.value === "online";
    if (live && online && entrance.value.step === "early" && !call.peek()) void enterRoom();
  });
}
