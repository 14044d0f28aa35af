import type { Chat, Message } from "@ringhall/core";
import { shortTime } from "../i18n/format.ts";
import { lang, t } from "../i18n/index.ts";
import { attempt, selectChat } from "../state/actions.ts";
import { chatName, chats, connection, isOnline, me, openChatId, otherMember, world } from "../state/app.ts";
import { newMeeting } from "../state/room.ts";
import { Avatar } from "./Avatar.tsx";
import { CallsButton } from "./CallsDialog.tsx";
import { historyText } from "./history.ts";
import { Icon } from "./Icon.tsx";
import { Settings } from "./Settings.tsx";

export function Sidebar() {
  const self = me.value;
  return (
    <nav class="sidebar" aria-label={t("chats.title")}>
      <header class="sidebar-head">
        {self && <Avatar id={self.id} name={self.name} url={self.avatar} online={connection.value === "online"} />}
        <div class="sidebar-self">
          <strong>{self?.name}</strong>
          <span role="status">
            {connection.value === "online"
              ? t("presence.online")
              : t(connection.value === "waiting" ? "connection.waiting" : "connection.connecting")}
          </span>
        </div>
        <CallsButton />
        <button
          type="button"
          class="icon-button"
          data-testid="new-meeting"
          aria-label={t("room.new")}
          title={t("room.new")}
          onClick={() => void attempt(newMeeting())}
        >
          <Icon name="link" />
        </button>
        <Settings />
      </header>
      {world.value && chats.value.length === 0 && connection.value === "online" ? (
        <div class="empty">
          <Icon name="chat" />
          <strong>{t("chats.empty")}</strong>
          <p>{t("chats.emptyHint")}</p>
        </div>
      ) : (
        <ul class="chat-list">
          {chats.value.map((chat) => (
            <li key={chat.id}>
              <ChatItem chat={chat} />
            </li>
          ))}
        </ul>
      )}
    </nav>
  );
}

function ChatItem({ chat }: { chat: Chat }) {
  const other = otherMember(chat);
  const online = other ? isOnline(other.id) : chat.members.some(({ id }) => id !== me.value?.id && isOnline(id));
  const { activeCall, lastMessage, unread } = chat;
  return (
    <button
      type="button"
      class="chat-item"
      data-testid="chat-item"
      data-chat-id={chat.id}
      data-online={String(online)}
      aria-current={openChatId.value === chat.id ? "true" : undefined}
      onClick={() => selectChat(chat.id)}
    >
      <Avatar
        id={other?.id ?? chat.id}
        name={chatName(chat)}
        url={other?.avatar}
        group={!other}
        online={other ? online : undefined}
      />
      <span class="chat-item-text">
        <span class="chat-item-name">{chatName(chat)}</span>
        <span class={activeCall ? "chat-item-last chat-item-live" : "chat-item-last"}>
          {activeCall
            ? t(activeCall.status === "ringing" ? "status.ringing" : "presence.in_call")
            : preview(chat, lastMessage)}
        </span>
      </span>
      <span class="chat-item-side">
        {lastMessage && <time>{shortTime(lastMessage.createdAt, new Date(), lang.value)}</time>}
        {unread > 0 && (
          <span class="badge" data-testid="unread" data-count={unread}>
            {unread > 99 ? "99+" : unread}
            <span class="visually-hidden">{t("chats.unread", { n: unread })}</span>
          </span>
        )}
      </span>
    </button>
  );
}

function preview(chat: Chat, message: Message | null): string {
  if (!message) {
    const other = otherMember(chat);
    return other ? t(`presence.${world.value?.presence.get(other.id)?.presence ?? "offline"}`) : "";
  }
  if (message.kind === "call") return historyText(message, chat);
  const sender = chat.members.find(({ id }) => id === message.senderId);
  if (message.senderId === me.value?.id) return `${t("common.you")}: ${message.content}`;
  return chat.type === "direct" || !sender ? message.content : `${sender.name.split(" ")[0]}: ${message.content}`;
}
