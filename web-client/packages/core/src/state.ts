import type { Chat, EventBody, IncomingCall, RealtimeBody, User, UserId, UserPresence } from "./protocol/index.ts";

/** A ring, with when it came by this page's clock. */
export interface Ring extends IncomingCall {
  receivedAt: number;
}

/** What is known of the world outside a call; a new object whenever anything in it changes. */
export interface ClientState {
  me: User | null;
  /** Newest first. */
  chats: readonly Chat[];
  presence: ReadonlyMap<UserId, UserPresence>;
  /** Calls that ring for this person now. */
  incoming: readonly Ring[];
  /** Missed calls that this person has not seen yet. */
  missedCalls: number;
}

export const emptyState: ClientState = { me: null, chats: [], presence: new Map(), incoming: [], missedCalls: 0 };

/** The state after a durable event. */
export function reduceEvent(state: ClientState, event: EventBody, now: number): ClientState {
  switch (event.op) {
    case "snapshot":
      return {
        ...state,
        chats: event.d.chats,
        presence: new Map(event.d.presence.map((entry) => [entry.userId, entry])),
        incoming: event.d.incoming.map((ring) => ({ ...ring, receivedAt: now })),
        missedCalls: event.d.missedCalls,
      };
    case "message": {
      const message = event.d;
      const chat = state.chats.find((known) => known.id === message.chatId);
      if (!chat || chat.lastMessage?.id === message.id) return state;
      const unread = message.senderId === state.me?.id && message.kind === "text" ? chat.unread : chat.unread + 1;
      const rest = state.chats.filter((known) => known !== chat);
      return { ...state, chats: [{ ...chat, lastMessage: message, unread }, ...rest] };
    }
    case "chat_updated": {
      const known = state.chats.some((chat) => chat.id === event.d.id);
      if (!known) return { ...state, chats: [event.d, ...state.chats] };
      return withChat(state, event.d.id, () => event.d);
    }
    case "call_created": {
      const { callId, chatId, type, device, timestamp } = event.d;
      return withChat(state, chatId, (chat) => ({
        ...chat,
        activeCall: {
          callId,
          type,
          status: "ringing",
          count: 1,
          mine: "joined",
          myDevice: device,
          locked: false,
          waiting: false,
          initiatedBy: state.me?.id ?? "",
          createdAt: timestamp,
          startedAt: null,
        },
      }));
    }
    case "incoming_call": {
      const ring = event.d;
      const incoming = [...withoutRing(state, ring.callId).incoming, { ...ring, receivedAt: now }];
      return withChat({ ...state, incoming }, ring.chatId, (chat) =>
        chat.activeCall?.callId === ring.callId
          ? chat
          : {
              ...chat,
              activeCall: {
                callId: ring.callId,
                type: ring.type,
                status: "ringing",
                count: 1,
                mine: "invited",
                myDevice: null,
                locked: false,
                waiting: false,
                initiatedBy: ring.initiator.id,
                createdAt: ring.timestamp,
                startedAt: null,
              },
            },
      );
    }
    case "call_accepted": {
      const { callId, userId, timestamp } = event.d;
      const next = userId === state.me?.id ? withoutRing(state, callId) : state;
      return withCall(next, callId, (chat, call) => ({
        ...chat,
        activeCall: { ...call, status: "ongoing", startedAt: call.startedAt ?? timestamp },
      }));
    }
    case "call_ended":
      return withCall(withoutRing(state, event.d.callId), event.d.callId, (chat) => ({ ...chat, activeCall: null }));
    case "call_missed":
      return withoutRing({ ...state, missedCalls: state.missedCalls + 1 }, event.d.callId);
    case "calls_seen":
      return { ...state, missedCalls: event.d.unseen };
    case "call_answered_elsewhere":
      return withoutRing(state, event.d.callId);
    case "call_rejected":
      return event.d.userId === state.me?.id ? withoutRing(state, event.d.callId) : state;
    case "waiting_status":
      return withCall(state, event.d.callId, (chat, call) => ({
        ...chat,
        activeCall: { ...call, waiting: event.d.status === "waiting" },
      }));
    case "kicked":
      return withCall(state, event.d.callId, (chat, call) => ({
        ...chat,
        activeCall: { ...call, mine: "kicked", myDevice: null },
      }));
    default:
      return state;
  }
}

/** The state after an ephemeral event; most of those belong to the call and change nothing here. */
export function reduceRealtime(state: ClientState, event: RealtimeBody): ClientState {
  if (event.op === "presence") {
    return { ...state, presence: new Map(state.presence).set(event.d.userId, event.d) };
  }
  if (event.op === "resumed") {
    // What was missed of the ephemeral events; a chat that is not named has no live call.
    const calls = new Map(event.d.calls.map((update) => [update.chatId, update.activeCall]));
    return {
      ...state,
      chats: state.chats.map((chat) => ({ ...chat, activeCall: calls.get(chat.id) ?? null })),
      presence: new Map(event.d.presence.map((entry) => [entry.userId, entry])),
    };
  }
  if (event.op === "call_updated") {
    return withChat(state, event.d.chatId, (chat) => ({ ...chat, activeCall: event.d.activeCall }));
  }
  return state;
}

/** The ring of a call is over here, whatever became of the call. */
export function withoutRing(state: ClientState, callId: string): ClientState {
  if (!state.incoming.some((ring) => ring.callId === callId)) return state;
  return { ...state, incoming: state.incoming.filter((ring) => ring.callId !== callId) };
}

/** A chat was looked at. */
export function withRead(state: ClientState, chatId: string): ClientState {
  return withChat(state, chatId, (chat) => (chat.unread === 0 ? chat : { ...chat, unread: 0 }));
}

function withChat(state: ClientState, chatId: string, change: (chat: Chat) => Chat): ClientState {
  let changed = false;
  const chats = state.chats.map((chat) => {
    const next = chat.id === chatId ? change(chat) : chat;
    changed ||= next !== chat;
    return next;
  });
  return changed ? { ...state, chats } : state;
}

function withCall(
  state: ClientState,
  callId: string,
  change: (chat: Chat, call: NonNullable<Chat["activeCall"]>) => Chat,
): ClientState {
  const chat = state.chats.find(({ activeCall }) => activeCall?.callId === callId);
  return chat
    ? withChat(state, chat.id, (known) => (known.activeCall ? change(known, known.activeCall) : known))
    : state;
}
