import { useSignal } from "@preact/signals";
import type { Chat, Message } from "@ringhall/core";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { daysBetween } from "../i18n/format.ts";
import { type Lang, lang, t } from "../i18n/index.ts";
import { send } from "../state/actions.ts";
import { client, me } from "../state/app.ts";
import { histories, loadMessages } from "../state/messages.ts";
import { chatInSight } from "../state/panel.ts";
import { Avatar } from "./Avatar.tsx";
import { CallMessage } from "./CallMessage.tsx";
import { Icon } from "./Icon.tsx";
import { Time } from "./Time.tsx";

/** Within this distance of the end a new message is followed. */
const FOLLOW_PX = 120;

export function Messages({ chat }: { chat: Chat }) {
  const history = histories.value.get(chat.id);
  const list = useRef<HTMLDivElement>(null);
  const newest = history?.messages.at(-1)?.id;
  const follow = useRef(true);
  useLayoutEffect(() => {
    const element = list.current;
    if (element && follow.current) element.scrollTop = element.scrollHeight;
  }, [newest]);
  useEffect(() => {
    const read = () => {
      if (document.visibilityState === "visible" && chatInSight.value === chat.id) client.value?.markRead(chat.id);
    };
    document.addEventListener("visibilitychange", read);
    return () => document.removeEventListener("visibilitychange", read);
  }, [chat.id]);

  return (
    <>
      <div
        class="messages"
        ref={list}
        role="log"
        aria-label={t("chat.messages")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          follow.current = scrollHeight - scrollTop - clientHeight < FOLLOW_PX;
        }}
      >
        {history?.more && (
          <button
            type="button"
            class="button button-small messages-older"
            onClick={() => void loadMessages(chat.id, true)}
          >
            {t("chat.older")}
          </button>
        )}
        {history?.state === "failed" && (
          <div class="empty">
            <p>{t("chat.loadFailed")}</p>
            <button type="button" class="button button-small" onClick={() => void loadMessages(chat.id)}>
              {t("common.retry")}
            </button>
          </div>
        )}
        {history?.state === "ready" && history.messages.length === 0 && (
          <div class="empty">
            <Icon name="chat" />
            <p>{t("chat.none")}</p>
          </div>
        )}
        {history?.messages.map((message, i) => (
          <Row key={message.id} chat={chat} message={message} before={history.messages[i - 1]} />
        ))}
      </div>
      <Composer key={chat.id} chat={chat} />
    </>
  );
}

function Row({ chat, message, before }: { chat: Chat; message: Message; before: Message | undefined }) {
  const date = new Date(message.createdAt);
  const newDay = !before || daysBetween(new Date(before.createdAt), date) !== 0;
  return (
    <>
      {newDay && <p class="day">{dayName(date, lang.value)}</p>}
      {message.kind === "call" ? (
        <CallMessage chat={chat} message={message} />
      ) : (
        <TextMessage chat={chat} message={message} first={newDay || before?.senderId !== message.senderId} />
      )}
    </>
  );
}

function TextMessage({ chat, message, first }: { chat: Chat; message: Message; first: boolean }) {
  const mine = message.senderId === me.value?.id;
  const sender = chat.members.find(({ id }) => id === message.senderId);
  const named = !mine && chat.type !== "direct";
  return (
    <article
      class={`message ${mine ? "message-mine" : ""} ${first ? "message-first" : ""}`}
      data-testid="message"
      data-kind="text"
    >
      {named && (
        <span class="message-avatar">
          {first && sender && <Avatar id={sender.id} name={sender.name} url={sender.avatar} size="small" />}
        </span>
      )}
      <div class="bubble">
        {named && first && <strong class="bubble-name">{sender?.name}</strong>}
        <p>{message.content}</p>
        <Time iso={message.createdAt} />
      </div>
    </article>
  );
}

function Composer({ chat }: { chat: Chat }) {
  const text = useSignal("");
  const busy = useSignal(false);
  const submit = async () => {
    const content = text.value.trim();
    if (!content || busy.value) return;
    busy.value = true;
    text.value = "";
    // What could not be sent is put back, unless the person has gone on typing.
    if (!(await send(chat.id, content)) && text.value === "") text.value = content;
    busy.value = false;
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <textarea
        data-testid="message-input"
        rows={1}
        aria-label={t("chat.input")}
        placeholder={t("chat.input")}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void submit();
        }}
      />
      <button
        type="submit"
        class="icon-button composer-send"
        data-testid="message-send"
        aria-label={t("chat.send")}
        title={t("chat.send")}
        disabled={text.value.trim() === ""}
      >
        <Icon name="send" />
      </button>
    </form>
  );
}

function dayName(date: Date, language: Lang): string {
  const days = daysBetween(date, new Date());
  if (days === 0) return t("time.today");
  if (days === 1) return t("time.yesterday");
  return new Intl.DateTimeFormat(language, { day: "numeric", month: "long", weekday: "long" }).format(date);
}
