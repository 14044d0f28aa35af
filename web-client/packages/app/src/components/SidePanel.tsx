import type { CallSession, CallView, Chat } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { client } from "../state/app.ts";
import { histories, loadMessages } from "../state/messages.ts";
import { panel, togglePanel } from "../state/panel.ts";
import { Icon } from "./Icon.tsx";
import { Messages } from "./Messages.tsx";
import { PeoplePanel } from "./PeoplePanel.tsx";

interface Props {
  session: CallSession;
  view: CallView;
  chat: Chat | undefined;
}

/** Beside the tiles, or over them on a phone: the people, or the chat that the call is in. */
export function SidePanel({ session, view, chat }: Props) {
  const root = useRef<HTMLElement>(null);
  const which = panel.value;
  useEffect(() => {
    if (which) root.current?.focus();
  }, [which]);
  if (!which || (which === "chat" && !chat)) return null;
  return (
    <aside
      class="side"
      ref={root}
      tabIndex={-1}
      aria-label={t(`panel.${which}`)}
      onKeyDown={(event) => {
        // A dialog in here closes itself first.
        if (event.key === "Escape" && !(event.target as Element).closest("dialog")) togglePanel(which);
      }}
    >
      <header class="side-head">
        <h2>{t(`panel.${which}`)}</h2>
        <button
          type="button"
          class="icon-button"
          aria-label={t("common.close")}
          data-testid="panel-close"
          onClick={() => togglePanel(which)}
        >
          <Icon name="close" />
        </button>
      </header>
      {which === "people" ? (
        <PeoplePanel session={session} view={view} chat={chat} />
      ) : (
        chat && <CallChat chat={chat} />
      )}
    </aside>
  );
}

function CallChat({ chat }: { chat: Chat }) {
  useEffect(() => {
    if (!histories.value.has(chat.id)) void loadMessages(chat.id);
    client.value?.markRead(chat.id);
  }, [chat.id]);
  return <Messages chat={chat} />;
}
