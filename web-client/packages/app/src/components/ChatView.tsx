import type { Chat, UserPresence } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { shortTime } from "../i18n/format.ts";
import { type Key, lang, t } from "../i18n/index.ts";
import { join, selectChat } from "../state/actions.ts";
import { call, chatName, client, connection, isOnline, me, openChat, otherMember, world } from "../state/app.ts";
import { askAndRing } from "../state/start.ts";
import { pageTitle } from "../state/title.ts";
import { Avatar } from "./Avatar.tsx";
import { Icon, type IconName } from "./Icon.tsx";
import { Messages } from "./Messages.tsx";

export function ChatView() {
  const chat = openChat.value;
  if (!chat) {
    return (
      <main class="chat chat-none">
        <div class="empty">
          <Icon name="chat" />
          <h1>{t("chats.pick")}</h1>
        </div>
      </main>
    );
  }
  return (
    <main class="chat">
      <ChatHeader chat={chat} />
      <ActiveCallBar chat={chat} />
      <Messages key={chat.id} chat={chat} />
    </main>
  );
}

function ChatHeader({ chat }: { chat: Chat }) {
  const other = otherMember(chat);
  const name = chatName(chat);
  useEffect(() => {
    pageTitle.value = name;
    return () => {
      pageTitle.value = "";
    };
  }, [name]);
  return (
    <header class="chat-head" data-testid="chat-header">
      <button type="button" class="icon-button chat-back" aria-label={t("chats.back")} onClick={() => selectChat(null)}>
        <Icon name="back" />
      </button>
      <Avatar id={other?.id ?? chat.id} name={name} url={other?.avatar} group={!other} />
      <div class="chat-title">
        <h1>{name}</h1>
        <p
          data-testid="chat-presence"
          data-presence={other ? (world.value?.presence.get(other.id)?.presence ?? "offline") : ""}
        >
          {other ? presenceText(world.value?.presence.get(other.id)) : membersText(chat)}
        </p>
      </div>
      <CallButton chat={chat} type="audio" icon="phone" />
      <CallButton chat={chat} type="video" icon="video" />
    </header>
  );
}

function CallButton({ chat, type, icon }: { chat: Chat; type: "audio" | "video"; icon: IconName }) {
  const reason = disabledReason(chat);
  const label = reason ? t(reason) : hintFor(chat, t(`call.${type}`));
  return (
    <button
      type="button"
      class="icon-button call-button"
      data-testid={`call-${type}`}
      disabled={reason !== null}
      title={label}
      aria-label={reason ? `${t(`call.${type}`)}: ${label}` : label}
      onClick={() => askAndRing(chat, type)}
    >
      <Icon name={icon} />
    </button>
  );
}

function disabledReason(chat: Chat): Key | null {
  if (call.value) return "call.disabled.here";
  if (chat.activeCall) return "call.disabled.chat";
  return connection.value === "online" ? null : "call.disabled.offline";
}

/** Says before the call that it will not be heard. */
function hintFor(chat: Chat, label: string): string {
  const other = otherMember(chat);
  if (!other || isOnline(other.id)) return label;
  return `${label}. ${t("call.notOnline", { name: other.name })}. ${t("call.notOnlineHint")}`;
}

/** "Call in progress (3) – Join", "Return to the call", or that it is in another tab. */
function ActiveCallBar({ chat }: { chat: Chat }) {
  const active = chat.activeCall;
  if (!active || call.value?.callId === active.callId) return null;
  const seated = active.mine === "joined" || active.mine === "reconnecting";
  const elsewhere = seated && active.myDevice !== null && active.myDevice !== client.value?.device;
  if (active.mine === "kicked") return null;
  const label = seated
    ? t(elsewhere ? "call.takeOver" : "call.return")
    : active.status === "ringing"
      ? t("call.joinRinging")
      : t("call.join", { n: active.count });
  return (
    <div class="live-bar">
      <span class="live-dot" aria-hidden="true" />
      <button
        type="button"
        class="button button-live"
        data-testid="join-call"
        disabled={connection.value !== "online"}
        onClick={() => void join(chat, active.type === "video", elsewhere)}
      >
        {label}
      </button>
    </div>
  );
}

function presenceText(presence: UserPresence | undefined): string {
  if (presence?.presence === "offline" && presence.lastSeen) {
    return t("presence.seen", { when: shortTime(presence.lastSeen, new Date(), lang.value) });
  }
  return t(`presence.${presence?.presence ?? "offline"}`);
}

function membersText(chat: Chat): string {
  const members = t("chat.members", { n: chat.members.length });
  const n = chat.members.filter(({ id }) => id === me.value?.id || isOnline(id)).length;
  return t("chat.membersOnline", { members, n });
}
