import type { Chat } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { rest } from "../state/auth.ts";
import { runsRoom } from "../state/room.ts";
import { roomLink } from "../state/route.ts";
import { toast } from "../state/toasts.ts";
import { Icon } from "./Icon.tsx";

const GUEST_LINK_SECONDS = 24 * 3600;

async function copy(text: string, said: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(said, "good");
  } catch {
    // Without the clipboard the link is at least there to be read.
    toast(text);
  }
}

/** Copying the room's links, for whom one likes; whether newcomers wait, for who runs it. */
export function RoomTools({ name, chat }: { name: string; chat: Chat | null }) {
  const runs = runsRoom(chat);
  const guests = async () => {
    const { url } = await rest.inviteGuests(name, { expiresInSeconds: GUEST_LINK_SECONDS });
    await copy(new URL(url, location.origin).href, t("room.guestLinkCopied"));
  };
  return (
    <div class="room-tools">
      <button
        type="button"
        class="button button-small"
        data-testid="copy-link"
        onClick={() => void copy(roomLink(name), t("room.linkCopied"))}
      >
        <Icon name="link" /> {t("room.copyLink")}
      </button>
      {runs && (
        <button
          type="button"
          class="button button-small"
          data-testid="copy-guest-link"
          onClick={() => void attempt(guests())}
        >
          <Icon name="link" /> {t("room.copyGuestLink")}
        </button>
      )}
      {runs && chat && (
        <label class="room-lobby">
          <input
            type="checkbox"
            data-testid="room-lobby"
            checked={chat.lobby}
            onChange={() => void attempt(rest.setLobby(name, !chat.lobby))}
          />
          {t("room.lobby")}
        </label>
      )}
    </div>
  );
}
