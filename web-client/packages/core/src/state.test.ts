import { expect, test } from "vitest";
import type { Chat, EventBody, Message } from "./protocol/index.ts";
import { type ClientState, emptyState, reduceEvent, reduceRealtime } from "./state.ts";
import { me } from "./testing/fake-server.ts";

const chat = (id: string): Chat => ({
  id,
  type: "direct",
  name: null,
  members: [],
  lobby: false,
  activeCall: null,
  lastMessage: null,
  unread: 0,
});
const start: ClientState = { ...emptyState, me, chats: [chat("a"), chat("b")] };
const after = (...events: EventBody[]) => events.reduce((state, event) => reduceEvent(state, event, 1_000), start);
const chatOf = (state: ClientState, id: string) => state.chats.find((known) => known.id === id);
const ring: EventBody = {
  op: "incoming_call",
  d: {
    callId: "call",
    chatId: "b",
    roomName: "r",
    type: "audio",
    initiator: { id: "x", name: "X", avatar: null },
    invitedBy: null,
    participants: ["me"],
    timestamp: "t0",
    ringMsLeft: 30_000,
    silent: false,
  },
};
const person = { callId: "call", userName: "n", timestamp: "t1" };
const ended: EventBody = {
  op: "call_ended",
  d: {
    callId: "call",
    chatId: "b",
    status: "ended",
    reason: "hangup",
    endedBy: null,
    userName: null,
    duration: 1,
    timestamp: "t",
  },
};
const message = (id: string, chatId: string, senderId: string): EventBody => ({
  op: "message",
  d: { id, chatId, senderId, kind: "text", content: "", call: null, createdAt: "t" } satisfies Message,
});

test("a ring shows and marks its chat; a repeat of it does not ring twice", () => {
  const state = after(ring, ring);
  expect(state.incoming).toHaveLength(1);
  expect(chatOf(state, "b")?.activeCall).toMatchObject({ callId: "call", status: "ringing", mine: "invited" });
});

test.each<[string, EventBody]>([
  ["my other tab answers", { op: "call_answered_elsewhere", d: { callId: "call", device: "other" } }],
  ["I am told that I accepted", { op: "call_accepted", d: { ...person, userId: "me" } }],
  ["I missed it", { op: "call_missed", d: { callId: "call", chatId: "b", initiator: me, timestamp: "t" } }],
  ["the call is over", ended],
])("a ring stops when %s", (_name, event) => {
  expect(after(ring, event).incoming).toEqual([]);
});

test("somebody else's answer leaves my ring on, and the call is going on", () => {
  const state = after(ring, { op: "call_accepted", d: { ...person, userId: "y" } });
  expect(state.incoming).toHaveLength(1);
  expect(chatOf(state, "b")?.activeCall).toMatchObject({ status: "ongoing", startedAt: "t1" });
});

test("a call that is over leaves its chat free", () => {
  expect(chatOf(after(ring, ended), "b")?.activeCall).toBeNull();
});

test("a message moves its chat to the front and counts as unread, unless it is mine or came already", () => {
  const state = after(message("1", "b", "x"), message("1", "b", "x"), message("2", "b", "me"));
  expect(state.chats.map(({ id }) => id)).toEqual(["b", "a"]);
  expect(chatOf(state, "b")?.unread).toBe(1);
});

test("a snapshot replaces everything that was known", () => {
  const state = after(ring, { op: "snapshot", d: { chats: [chat("c")], presence: [], incoming: [], missedCalls: 0 } });
  expect(state.chats.map(({ id }) => id)).toEqual(["c"]);
  expect(state.incoming).toEqual([]);
});

test("presence and the count of a call are taken from the room's stream", () => {
  const present = reduceRealtime(start, { op: "presence", d: { userId: "x", presence: "online", lastSeen: null } });
  expect(present.presence.get("x")?.presence).toBe("online");
  const state = reduceRealtime(after(ring), { op: "call_updated", d: { chatId: "b", activeCall: null } });
  expect(chatOf(state, "b")?.activeCall).toBeNull();
});

test("an event of another call changes nothing", () => {
  const state = after(ring);
  expect(reduceEvent(state, { op: "call_answered_elsewhere", d: { callId: "z", device: "d" } }, 0)).toBe(state);
});

test("missed calls are counted until they are seen in any tab", () => {
  const d = { callId: "c", chatId: "chat", initiator: { id: "x", name: "X", avatar: null }, timestamp: "" };
  const missed = reduceEvent({ ...emptyState, missedCalls: 2 }, { op: "call_missed", d }, 0);
  expect(missed.missedCalls).toBe(3);
  expect(reduceEvent(missed, { op: "calls_seen", d: { unseen: 0 } }, 0).missedCalls).toBe(0);
});

test("after a replay, a call that was missed is shown and one that is over is not", () => {
  const call = chatOf(after(ring), "b")?.activeCall ?? null;
  const calls = [{ chatId: "a", activeCall: call && { ...call, callId: "later" } }];
  const presence = [{ userId: "x", presence: "in_call" as const, lastSeen: null }];
  const state = reduceRealtime(after(ring), { op: "resumed", d: { calls, presence } });
  expect(chatOf(state, "a")?.activeCall?.callId).toBe("later");
  expect(chatOf(state, "b")?.activeCall).toBeNull();
  expect(state.presence.get("x")?.presence).toBe("in_call");
});
