import { useSignal } from "@preact/signals";
import type { Chat, Message } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { call, connection } from "../state/app.ts";
import { askAndRing } from "../state/start.ts";
import { CallDetailsDialog } from "./CallDetails.tsx";
import { historyText, isMissed } from "./history.ts";
import { Icon } from "./Icon.tsx";
import { Time } from "./Time.tsx";

/** A call in the chat's history; a click shows who was in it and for how long. */
export function CallMessage({ chat, message }: { chat: Chat; message: Message }) {
  const open = useSignal(false);
  const missed = isMissed(message);
  const video = message.call?.type === "video";
  const free = !call.value && !chat.activeCall && connection.value === "online";
  return (
    <article
      class={missed ? "call-message call-message-missed" : "call-message"}
      data-testid="message"
      data-kind="call"
      data-missed={String(missed)}
    >
      <button
        type="button"
        class="call-message-open"
        data-testid="call-details-open"
        title={t("details.open")}
        onClick={() => {
          open.value = true;
        }}
      >
        <span class="call-message-icon">
          <Icon name={missed ? "missed" : video ? "video" : "phone"} />
        </span>
        <span>{historyText(message, chat)}</span>
        <Time iso={message.createdAt} />
      </button>
      {missed && chat.type === "direct" && (
        <button
          type="button"
          class="button button-small"
          disabled={!free}
          onClick={() => askAndRing(chat, message.call?.type ?? "audio")}
        >
          {t("history.callBack")}
        </button>
      )}
      {open.value && message.call && (
        <CallDetailsDialog
          callId={message.call.callId}
          onClose={() => {
            open.value = false;
          }}
        />
      )}
    </article>
  );
}
