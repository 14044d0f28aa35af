import { type CallSession, type CallView, type Chat, isSeated } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { attempt, endForAll, leave } from "../state/actions.ts";
import { panel, togglePanel } from "../state/panel.ts";
import { ControlButton } from "./ControlButton.tsx";
import { Reactions } from "./Reactions.tsx";

interface Props {
  session: CallSession;
  view: CallView;
  chat: Chat | undefined;
}

export function Controls({ session, view, chat }: Props) {
  const toggleMic = () => void session.local.setMic(!session.local.isOn("mic"));
  const toggleCamera = () => void session.local.setCamera(!session.local.isOn("camera"));
  const toggleHand = () => void attempt(session.raiseHand(session.view.hand === null));
  useKeys({ KeyM: toggleMic, KeyV: toggleCamera, KeyH: toggleHand, KeyP: () => togglePanel("people") });
  const direct = chat?.type === "direct";
  const waiting = view.phase === "calling" || view.phase === "ringing";
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";
  const seated = view.participants.filter(isSeated).length;
  return (
    <footer class="controls">
      <ControlButton
        testId="toggle-mic"
        on={view.mic}
        icon={view.mic ? "mic" : "micOff"}
        label={t(view.mic ? "control.micOff" : "control.micOn")}
        keys="M"
        look={view.mic ? undefined : "warn"}
        onClick={toggleMic}
      />
      <ControlButton
        testId="toggle-camera"
        on={view.camera}
        icon={view.camera ? "video" : "videoOff"}
        label={t(view.camera ? "control.cameraOff" : "control.cameraOn")}
        keys="V"
        look={view.problems.camera === undefined ? undefined : "warn"}
        onClick={toggleCamera}
      />
      {canShare && (
        <ControlButton
          testId="toggle-screen"
          on={view.screen}
          icon="screen"
          label={t(view.screen ? "control.screenOff" : "control.screenOn")}
          look={view.screen ? "accent" : undefined}
          onClick={() => void session.local.setScreen(!session.local.isOn("screen"))}
        />
      )}
      {!waiting && (!direct || seated > 2) && (
        <ControlButton
          testId="toggle-hand"
          on={view.hand !== null}
          icon="hand"
          label={t(view.hand === null ? "control.handUp" : "control.handDown")}
          keys="H"
          look={view.hand === null ? undefined : "accent"}
          onClick={toggleHand}
        />
      )}
      {!waiting && <Reactions session={session} />}
      <ControlButton
        testId="toggle-people"
        expanded={panel.value === "people"}
        icon="group"
        label={t("panel.people")}
        keys="P"
        badge={view.waiting.length > 0 ? view.waiting.length : direct ? 0 : seated}
        badgeLabel={
          view.waiting.length > 0 ? t("people.waiting", { n: view.waiting.length }) : t("people.inCall", { n: seated })
        }
        look={panel.value === "people" ? "accent" : undefined}
        onClick={() => togglePanel("people")}
      />
      {chat && (
        <ControlButton
          testId="toggle-chat"
          expanded={panel.value === "chat"}
          icon="chat"
          label={t("panel.chat")}
          badge={panel.value === "chat" ? 0 : chat.unread}
          badgeLabel={t("chats.unread", { n: chat.unread })}
          look={panel.value === "chat" ? "accent" : undefined}
          onClick={() => togglePanel("chat")}
        />
      )}
      <ControlButton
        testId="leave-call"
        icon="hangUp"
        label={t(direct || waiting ? "control.hangUp" : "control.leave")}
        look="leave"
        onClick={leave}
      />
      {!direct && !waiting && view.moderator && (
        <ControlButton testId="end-call" icon="close" label={t("control.endForAll")} look="end" onClick={endForAll} />
      )}
    </footer>
  );
}

/** Single keys, wherever the focus is, except while somebody types or a dialog asks something. */
function useKeys(keys: Record<string, () => void>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
      if (event.target instanceof Element && event.target.closest("dialog")) return;
      keys[event.code]?.();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}
