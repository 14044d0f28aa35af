import type { CallSession, CallView, Chat } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { endForAll, leave } from "../state/actions.ts";
import { me } from "../state/app.ts";
import { Icon, type IconName } from "./Icon.tsx";

interface Props {
  session: CallSession;
  view: CallView;
  chat: Chat | undefined;
}

export function Controls({ session, view, chat }: Props) {
  const toggleMic = () => void session.local.setMic(!session.local.isOn("mic"));
  const toggleCamera = () => void session.local.setCamera(!session.local.isOn("camera"));
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
      if (event.code === "KeyM") toggleMic();
      else if (event.code === "KeyV") toggleCamera();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [session]);
  const direct = chat?.type === "direct";
  const waiting = view.phase === "calling" || view.phase === "ringing";
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";
  return (
    <footer class="controls">
      <Toggle
        testId="toggle-mic"
        on={view.mic}
        icon={view.mic ? "mic" : "micOff"}
        label={t(view.mic ? "control.micOff" : "control.micOn")}
        keys="M"
        warn={!view.mic}
        onClick={toggleMic}
      />
      <Toggle
        testId="toggle-camera"
        on={view.camera}
        icon={view.camera ? "video" : "videoOff"}
        label={t(view.camera ? "control.cameraOff" : "control.cameraOn")}
        keys="V"
        warn={view.problems.camera !== undefined}
        onClick={toggleCamera}
      />
      {canShare && (
        <Toggle
          testId="toggle-screen"
          on={view.screen}
          icon="screen"
          label={t(view.screen ? "control.screenOff" : "control.screenOn")}
          accent={view.screen}
          onClick={() => void session.local.setScreen(!session.local.isOn("screen"))}
        />
      )}
      <button type="button" class="control control-leave" data-testid="leave-call" onClick={leave}>
        <span class="control-disc">
          <Icon name="hangUp" />
        </span>
        <span class="control-label">{t(direct || waiting ? "control.hangUp" : "control.leave")}</span>
      </button>
      {!direct && !waiting && isModerator(view) && (
        <button type="button" class="control control-end" data-testid="end-call" onClick={endForAll}>
          <span class="control-disc">
            <Icon name="close" />
          </span>
          <span class="control-label">{t("control.endForAll")}</span>
        </button>
      )}
    </footer>
  );
}

function isModerator(view: CallView): boolean {
  return view.outgoing || view.participants.some(({ id, moderator }) => id === me.value?.id && moderator);
}

interface ToggleProps {
  testId: string;
  /** The device is on. */
  on: boolean;
  icon: IconName;
  label: string;
  keys?: string;
  warn?: boolean;
  accent?: boolean;
  onClick: () => void;
}

function Toggle({ testId, on, icon, label, keys, warn = false, accent = false, onClick }: ToggleProps) {
  return (
    <button
      type="button"
      class={`control ${on ? "" : "control-off"} ${warn ? "control-warn" : ""} ${accent ? "control-accent" : ""}`}
      data-testid={testId}
      aria-pressed={on}
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      onClick={onClick}
    >
      <span class="control-disc">
        <Icon name={icon} />
      </span>
      <span class="control-label">{label}</span>
    </button>
  );
}
