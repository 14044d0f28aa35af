import { type CallType, type Chat, RinghallError } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { playTone } from "../sound/tones.ts";
import { call, client, openChatId } from "./app.ts";
import { histories, loadMessages } from "./messages.ts";
import { tellError } from "./notices.ts";
import { toast } from "./toasts.ts";

/** What a person does. Each one ends in what is asked for, or in a sentence that says why not. */

export function selectChat(chatId: string | null): void {
  openChatId.value = chatId;
  if (!chatId) return;
  if (!histories.value.has(chatId)) void loadMessages(chatId);
  client.value?.markRead(chatId);
}

export async function ring(chat: Chat, type: CallType, invitees?: string[]): Promise<void> {
  try {
    const started = await client.value?.startCall(chat, type, invitees ? { invitees } : {});
    if (started?.outcome !== "exists") return;
    // Both rang each other: in a direct chat that is one call, and nobody needs to be asked.
    if (chat.type === "direct") await joinById(chat.id, type === "video");
    else toast(t("call.exists"), "info", { label: t("call.yesJoin"), run: () => void joinById(chat.id, false) });
  } catch (error) {
    tellError(error);
  }
}

/** Joins whatever is live in the chat when the person decides. */
async function joinById(chatId: string, camera: boolean): Promise<void> {
  const chat = client.value?.state.chats.find(({ id }) => id === chatId);
  if (chat) await join(chat, camera);
}

export async function join(chat: Chat, camera: boolean, takeover = false): Promise<void> {
  try {
    await client.value?.joinCall(chat, { camera, takeover });
  } catch (error) {
    if (error instanceof RinghallError && error.code === "ANSWERED_ELSEWHERE" && !takeover) {
      return join(chat, camera, true);
    }
    tellError(error);
  }
}

export async function accept(callId: string, chatId: string, camera: boolean): Promise<void> {
  selectChat(chatId);
  try {
    await client.value?.acceptCall(callId, { camera });
    playTone("accepted");
  } catch (error) {
    tellError(error);
  }
}

export async function decline(callId: string, busy: boolean): Promise<void> {
  playTone("declined");
  try {
    await client.value?.rejectCall(callId, busy ? "busy" : "declined");
    toast(t("toast.youDeclined"));
  } catch (error) {
    tellError(error);
  }
}

export async function send(chatId: string, content: string): Promise<boolean> {
  try {
    // In a call its chat is that of the call, which may have people in it who are not in the chat.
    const here = call.value?.view.chatId === chatId ? call.value.callId : undefined;
    await client.value?.sendMessage(chatId, content, here);
    return true;
  } catch (error) {
    tellError(error);
    return false;
  }
}

/** Carries out something that only the server allows or refuses, and says why when it refuses. */
export async function attempt(action: Promise<unknown> | undefined): Promise<void> {
  try {
    await action;
  } catch (error) {
    tellError(error);
  }
}

export function leave(): void {
  call.value?.leave();
}

export function endForAll(): void {
  call.value?.endForAll();
}
