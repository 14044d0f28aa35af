import { useSignal } from "@preact/signals";
import type { CallSession } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { type Key, t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { available, type Choice, choice, choose, watchDevices } from "../state/devices.ts";
import { Dialog } from "./Dialog.tsx";
import { Icon } from "./Icon.tsx";

type Which = keyof Choice & ("mic" | "camera" | "speaker");

const KINDS: Record<Which, MediaDeviceKind> = { mic: "audioinput", camera: "videoinput", speaker: "audiooutput" };
/** Firefox before 116 and phones choose the loudspeaker themselves. */
const CAN_CHOOSE_SPEAKER = "setSinkId" in HTMLMediaElement.prototype;

/** Microphone, camera and loudspeaker to choose from; `onChange` opens the new one. */
export function DeviceChoices({ onChange }: { onChange: (which: Which) => void }) {
  useEffect(watchDevices, []);
  const kinds: Which[] = CAN_CHOOSE_SPEAKER ? ["mic", "camera", "speaker"] : ["mic", "camera"];
  return (
    <div class="devices">
      {kinds.map((which) => {
        const list = available.value.filter(({ kind, deviceId }) => kind === KINDS[which] && deviceId !== "");
        const label: Key = `devices.${which}`;
        return (
          <label key={which} class="field">
            <span>{t(label)}</span>
            <select
              data-testid={`choose-${which}`}
              disabled={list.length === 0}
              value={choice.value[which] ?? list[0]?.deviceId ?? ""}
              onChange={(event) => {
                choose({ [which]: event.currentTarget.value });
                onChange(which);
              }}
            >
              {list.length === 0 && <option value="">{t("devices.none")}</option>}
              {list.map(({ deviceId, label: name }, i) => (
                <option key={deviceId} value={deviceId}>
                  {name || `${t(label)} ${i + 1}`}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </div>
  );
}

/** Opens the choice in a call; what is on goes on from the new device. */
export function DeviceButton({ session }: { session: CallSession }) {
  const open = useSignal(false);
  return (
    <>
      <button
        type="button"
        class="icon-button call-devices"
        data-testid="devices"
        aria-label={t("devices.title")}
        title={t("devices.title")}
        onClick={() => {
          open.value = true;
        }}
      >
        <Icon name="gear" />
      </button>
      {open.value && (
        <Dialog
          title={t("devices.title")}
          testId="device-dialog"
          onClose={() => {
            open.value = false;
          }}
        >
          <DeviceChoices
            onChange={(which) => {
              if (which !== "speaker") void attempt(session.local.reopen(which));
            }}
          />
        </Dialog>
      )}
    </>
  );
}
