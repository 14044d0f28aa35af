import { signal } from "@preact/signals";
import type { CallType, Chat } from "@ringhall/core";
import { ring } from "./actions.ts";
import { client, isOnline, me } from "./app.ts";

/** A question before a ring: nobody is there to hear it, or there are so many that one chooses. */
export interface Question {
  kind: "offline" | "choose";
  chat: Chat;
  type: CallType;
  /** At most so many may be rung. */
  most: number;
}

/** In a chat of more people than this one is asked whom to ring. */
const ASK_ABOVE = 8;
const RING_MAX_MEMBERS = 50;

export const question = signal<Question | null>(null);

export function others(chat: Chat): Chat["members"] {
  return chat.members.filter(({ id }) => id !== me.value?.id);
}

/** Rings the chat, after asking what there is to ask. */
export function askAndRing(chat: Chat, type: CallType): void {
  const most = client.value?.limits?.ringMaxMembers ?? RING_MAX_MEMBERS;
  const callees = others(chat);
  const choose = chat.type === "group" && (callees.length > ASK_ABOVE || callees.length > most);
  const deaf = chat.type !== "room" && !callees.some(({ id }) => isOnline(id));
  if (!choose && !deaf) return void ring(chat, type);
  question.value = { kind: choose ? "choose" : "offline", chat, type, most };
}

export function answer(invitees?: string[]): void {
  const asked = question.value;
  question.value = null;
  if (asked) void ring(asked.chat, asked.type, invitees);
}
