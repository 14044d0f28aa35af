import type { CallEntry, Chat, Message } from "@ringhall/core";
import { durationInWords } from "../i18n/format.ts";
import { catalogues, lang, t } from "../i18n/index.ts";
import { me } from "../state/app.ts";

/** A finished call that this person was rung for and did not take. */
export function isMissed({ senderId, call }: Message): boolean {
  if (!call || senderId === me.value?.id) return false;
  return call.mine === "missed" || call.mine === "invited" || call.mine === "ringing";
}

/** A finished call in a sentence, as its reader sees it. */
export function historyText(message: Message, chat: Chat): string {
  const { call, senderId } = message;
  if (!call) return message.content;
  const mine = senderId === me.value?.id;
  const name = chat.members.find(({ id }) => id === senderId)?.name ?? "";
  const duration = durationInWords(call.duration, catalogues[lang.value], lang.value);
  if (isMissed(message)) return t("history.missed", { name });
  if (!mine && (call.mine === "declined" || call.mine === "busy")) return t("history.declinedByMe", { name });
  if (call.status === "ended") {
    return mine ? t("history.outgoing", { duration }) : t("history.incoming", { name, duration });
  }
  if (call.status === "failed") return t("history.failed");
  if (!mine) return t("history.missed", { name });
  if (call.status === "cancelled") return t("history.cancelled");
  if (call.endReason === "declined") return t("history.declined");
  return t(call.endReason === "busy" ? "history.busy" : "history.unanswered");
}

/** What became of a call in the reader's own history, in a few words. */
export function outcomeText({ mine, status, duration, initiator }: CallEntry): string {
  if (mine === "missed") return t("calls.missed");
  if (status === "ringing" || status === "ongoing") return t("calls.live");
  if (status === "failed") return t("history.failed");
  const own = initiator.id === me.value?.id;
  if (status === "ended" && mine === "left") return durationInWords(duration, catalogues[lang.value], lang.value);
  if (own) return t(status === "cancelled" ? "calls.cancelled" : "calls.unanswered");
  return t(mine === "declined" || mine === "busy" ? "calls.declined" : "calls.missed");
}
