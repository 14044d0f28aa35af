import { signal } from "@preact/signals";
import { type Message, RinghallError } from "@ringhall/core";
import { onClient, openChatId } from "./app.ts";
import { rest } from "./auth.ts";
import { chatInSight } from "./panel.ts";

/** One chat's messages, oldest first. */
export interface History {
  messages: readonly Message[];
  more: boolean;
  state: "loading" | "ready" | "failed";
}

export const histories = signal<ReadonlyMap<string, History>>(new Map());

const empty: History = { messages: [], more: false, state: "loading" };

function put(chatId: string, change: (history: History) => History): void {
  const next = new Map(histories.value);
  next.set(chatId, change(next.get(chatId) ?? empty));
  histories.value = next;
}

/** Joins two lists of the same chat by id; server order is by time. */
export function merge(a: readonly Message[], b: readonly Message[]): Message[] {
  const byId = new Map([...a, ...b].map((message) => [message.id, message]));
  return [...byId.values()].sort((x, y) => Date.parse(x.createdAt) - Date.parse(y.createdAt));
}

/** Loads the newest page, or the one before what is there. */
export async function loadMessages(chatId: string, older = false): Promise<void> {
  const known = histories.value.get(chatId);
  const before = older ? known?.messages[0]?.id : undefined;
  put(chatId, (history) => ({ ...history, state: "loading" }));
  try {
    const page = await rest.messages(chatId, before);
    put(chatId, (history) => ({
      messages: merge(page.messages, history.messages),
      more: older || history.messages.length === 0 ? page.more : history.more,
      state: "ready",
    }));
  } catch (error) {
    if (!(error instanceof RinghallError)) throw error;
    put(chatId, (history) => ({ ...history, state: "failed" }));
  }
}

export function addMessage(message: Message): void {
  if (!histories.value.has(message.chatId)) return;
  put(message.chatId, (history) => ({ ...history, messages: merge(history.messages, [message]) }));
}

onClient((client) => {
  histories.value = new Map();
  client.on("event", (event) => {
    if (event.op === "message") addMessage(event.d);
    // After a gap too large to replay, what is on the screen may lack messages.
    else if (event.op === "snapshot" && openChatId.value) void loadMessages(openChatId.value);
    if (event.op === "message" && event.d.chatId === chatInSight.value && document.visibilityState === "visible") {
      client.markRead(event.d.chatId);
    }
  });
});
