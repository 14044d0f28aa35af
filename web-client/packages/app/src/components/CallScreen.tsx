import { useSignal } from "@preact/signals";
import { type CallSession, isSeated } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { clockTime } from "../i18n/format.ts";
import { t } from "../i18n/index.ts";
import { callView, chatName, chats, connection, me } from "../state/app.ts";
import { AlonePrompt } from "./AlonePrompt.tsx";
import { Avatar } from "./Avatar.tsx";
import { CallAudio } from "./CallAudio.tsx";
import { Controls } from "./Controls.tsx";
import { DeviceButton } from "./DeviceDialog.tsx";
import { Quality } from "./Quality.tsx";
import { SidePanel } from "./SidePanel.tsx";
import { Stage } from "./Stage.tsx";

export function CallScreen({ session }: { session: CallSession }) {
  const root = useRef<HTMLElement>(null);
  useEffect(() => root.current?.focus(), []);
  useWakeLock();
  const view = callView.value;
  if (!view || view.callId !== session.callId) return null;
  const chat = chats.value.find(({ id }) => id === view.chatId);
  const name = chat ? chatName(chat) : "";
  const waiting = view.phase === "calling" || view.phase === "ringing" ? view.phase : null;
  const others = view.participants.filter((entry) => isSeated(entry) && entry.id !== me.value?.id);
  return (
    <section
      class="call"
      ref={root}
      tabIndex={-1}
      aria-label={t("stage.label", { name })}
      data-testid="call-view"
      data-call-id={view.callId}
      data-status={view.phase}
    >
      <header class="call-head">
        <h1>{name}</h1>
        <p role="status">
          {view.phase === "connected" && view.talkingSince !== null ? (
            <Elapsed since={view.talkingSince} />
          ) : (
            view.phase !== "ended" && t(`status.${view.phase}`)
          )}
        </p>
        {view.phase === "connected" && others.length > 0 && <Quality quality={view.quality} />}
        <span class="call-head-space" />
        <DeviceButton session={session} />
        {connection.value === "waiting" && <p class="call-warning">{t("status.serverLost")}</p>}
      </header>
      <AlonePrompt session={session} until={view.aloneUntil} />
      <div class="call-body">
        <Stage session={session} view={view} alone={others.length === 0} />
        {waiting && others.length === 0 && <Callee chatId={view.chatId} status={t(`status.${waiting}`)} />}
        {!waiting && others.length === 0 && view.phase === "connected" && <p class="call-alone">{t("stage.alone")}</p>}
        <SidePanel session={session} view={view} chat={chat} />
      </div>
      <Controls session={session} view={view} chat={chat} />
      <CallAudio />
    </section>
  );
}

/** Who is being called, while nobody has answered. */
function Callee({ chatId, status }: { chatId: string; status: string }) {
  const chat = chats.value.find(({ id }) => id === chatId);
  if (!chat) return null;
  const callees = chat.members.filter(({ id }) => id !== me.value?.id);
  const shown = callees.slice(0, 5);
  return (
    <div class={shown.length === 1 ? "callee callee-one" : "callee"}>
      {shown.map(({ id, name, avatar }) => (
        <div key={id} class="callee-avatar">
          <Avatar id={id} name={name} url={avatar} size={shown.length === 1 ? "huge" : "large"} />
        </div>
      ))}
      <p class="callee-text" aria-hidden="true">
        <strong>{chatName(chat)}</strong>
        {callees.length > shown.length && <span>{t("tile.more", { n: callees.length - shown.length })}</span>}
        <span>{status}</span>
      </p>
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      now.value = Date.now();
    }, 500);
    return () => clearInterval(timer);
  }, []);
  return <span role="timer">{clockTime((now.value - since) / 1000)}</span>;
}

/** A phone must not fall asleep in a call. */
function useWakeLock() {
  useEffect(() => {
    let lock: WakeLockSentinel | null = null;
    let done = false;
    const request = async () => {
      if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
      // Refused on a low battery; the call works without it.
      lock = await navigator.wakeLock.request("screen").catch(() => null);
      if (done) void lock?.release();
    };
    void request();
    document.addEventListener("visibilitychange", request);
    return () => {
      done = true;
      document.removeEventListener("visibilitychange", request);
      void lock?.release();
    };
  }, []);
}
