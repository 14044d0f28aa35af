import { useSignal } from "@preact/signals";
import { RinghallError } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { client, connection } from "../state/app.ts";
import { session } from "../state/auth.ts";
import {
  type Entrance,
  enterAsGuest,
  entering,
  enterRoom,
  entrance,
  left,
  openRoom,
  roomChat,
  stopWaiting,
} from "../state/room.ts";
import { goTo } from "../state/route.ts";
import { pageTitle } from "../state/title.ts";
import { Brand } from "./Brand.tsx";
import { Icon } from "./Icon.tsx";
import { Lobby } from "./Lobby.tsx";
import { RoomTools } from "./RoomTools.tsx";

/** The door of a room, `/r/{name}`: who one is, how one looks and sounds, and the way in. */
export function RoomPage({ name }: { name: string }) {
  useEffect(() => {
    pageTitle.value = name;
    return () => {
      pageTitle.value = "";
    };
  }, [name]);
  const at = entrance.value;
  return (
    <main class="room" data-testid="room-page" data-step={at.step}>
      <section class="room-card">
        {at.step === "guest" ? <GuestForm needed={at.passwordNeeded} /> : <Door name={name} at={at} />}
      </section>
    </main>
  );
}

function Door({ name, at }: { name: string; at: Entrance }) {
  const chat = roomChat();
  const live = chat?.activeCall ?? null;
  const most = client.value?.limits?.maxParticipants ?? 0;
  const guest = chat === null && at.step !== "opening";
  return (
    <>
      <header class="room-head">
        <h1>{t("room.title", { name })}</h1>
        <p role="status" data-testid="room-count">
          {live ? t("room.count", { n: live.count, most }) : t("room.empty")}
          {live?.locked && ` · ${t("room.locked")}`}
        </p>
      </header>
      {left.value && <p class="hint hint-strong">{t(left.value === "kicked" ? "room.kicked" : "room.left")}</p>}
      {at.step === "failed" && (
        <p class="problem" role="alert" data-testid="room-problem">
          {t(at.why, { n: most })}
        </p>
      )}
      <Lobby />
      <div class="room-actions">
        <Action name={name} at={at} />
        {!guest && session.value && (
          <button type="button" class="button" onClick={() => goTo("/")}>
            {t("room.back")}
          </button>
        )}
      </div>
      <RoomTools name={name} chat={chat} />
    </>
  );
}

function Action({ name, at }: { name: string; at: Entrance }) {
  if (at.step === "waiting" || at.step === "early") {
    return (
      <div class="room-waiting" role="status" data-testid="room-waiting">
        <span class="live-dot" aria-hidden="true" />
        <span>{t(at.step === "early" ? "room.early" : "room.waiting")}</span>
        <button type="button" class="button button-small" data-testid="room-stop-waiting" onClick={stopWaiting}>
          {t("common.cancel")}
        </button>
      </div>
    );
  }
  const ready = roomChat() !== null && connection.value === "online";
  if (at.step === "failed" && !ready) {
    return (
      <button type="button" class="button button-primary" onClick={() => void openRoom(name)}>
        {t("common.retry")}
      </button>
    );
  }
  return (
    <button
      type="button"
      class="button button-primary room-join"
      data-testid="room-join"
      disabled={!ready || entering.value}
      onClick={() => void enterRoom()}
    >
      <Icon name="video" />
      {t(left.value ? "room.again" : "room.join")}
    </button>
  );
}

/** A guest has no account: a name, and the link's password if it has one. */
function GuestForm({ needed }: { needed: boolean }) {
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    busy.value = true;
    problem.value = null;
    try {
      await enterAsGuest(String(form.get("name") ?? "").trim(), String(form.get("password") ?? ""));
    } catch (error) {
      const code = error instanceof RinghallError ? error.code : "INTERNAL";
      problem.value = code === "UNAUTHENTICATED" ? t("room.wrongPassword") : t(`error.${code}`);
    } finally {
      busy.value = false;
    }
  };
  return (
    <>
      <Brand />
      <form class="form" onSubmit={submit}>
        <p class="hint">{t("room.guestHint")}</p>
        <label class="field">
          <span>{t("setup.name")}</span>
          <input data-testid="guest-name" name="name" autocomplete="name" maxLength={60} required />
        </label>
        {needed && (
          <label class="field">
            <span>{t("room.password")}</span>
            <input data-testid="guest-password" name="password" type="password" autocomplete="off" required />
          </label>
        )}
        {problem.value && (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
        <button class="button button-primary" type="submit" data-testid="guest-enter" disabled={busy.value}>
          {t("room.enter")}
        </button>
      </form>
    </>
  );
}
