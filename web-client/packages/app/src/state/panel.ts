import { computed, signal } from "@preact/signals";
import { call, callView, onClient, openChatId } from "./app.ts";

/** What is open beside the tiles of a call. */
export type Panel = "people" | "chat";

export const panel = signal<Panel | null>(null);

export function togglePanel(which: Panel): void {
  panel.value = panel.value === which ? null : which;
}

/** The chat whose messages can be seen now: a call covers the one that is open under it. */
export const chatInSight = computed(() => {
  if (!call.value) return openChatId.value;
  return panel.value === "chat" ? (callView.value?.chatId ?? null) : null;
});

onClient((client) => {
  client.on("call", () => {
    panel.value = null;
  });
});
