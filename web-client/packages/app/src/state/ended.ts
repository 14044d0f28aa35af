import { signal } from "@preact/signals";
import type { CallEnd, CallType } from "@ringhall/core";
import { playTone } from "../sound/tones.ts";
import { onClient } from "./app.ts";

/** The call that this tab was in last, until the card is closed. */
export interface EndedCall {
  callId: string;
  chatId: string;
  type: CallType;
  how: CallEnd["how"];
  by: string | null;
  byMe: boolean;
  /** Whole seconds: this page's count until the server's own comes. */
  duration: number;
}

const SHOWN_MS = 15_000;

export const ended = signal<EndedCall | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

export function dismissEnded(): void {
  clearTimeout(timer);
  ended.value = null;
}

function show(card: EndedCall): void {
  ended.value = card;
  clearTimeout(timer);
  timer = setTimeout(dismissEnded, SHOWN_MS);
}

onClient((client) => {
  client.on("call", (session) => {
    if (!session) return;
    dismissEnded();
    session.on("ended", (end) => {
      const { talkingSince, chatId, type, callId } = session.view;
      // Nobody talked: a toast and a tone of their own say why, and there is no duration to show.
      if (talkingSince === null && end.how === "over") return;
      playTone("ended");
      if (talkingSince === null) return;
      const duration = end.duration ?? Math.max(0, Math.round((Date.now() - talkingSince) / 1000));
      const byMe = end.how === "left" || end.by?.id === client.state.me?.id;
      show({ callId, chatId, type, how: end.how, by: end.by?.name ?? null, byMe, duration });
    });
  });
  client.on("event", (event) => {
    const card = ended.value;
    if (event.op !== "call_ended" || event.d.callId !== card?.callId) return;
    ended.value = { ...card, how: "over", duration: event.d.duration };
  });
});
