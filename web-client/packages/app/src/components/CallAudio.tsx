import { useSignal } from "@preact/signals";
import type { Slot } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { slots } from "../state/app.ts";
import { choice } from "../state/devices.ts";
import { Icon } from "./Icon.tsx";

/** Plays every audio slot; which voice is in which slot is the server's choice. */
export function CallAudio() {
  const blocked = useSignal(false);
  const retries = useRef(new Set<() => void>());
  useEffect(() => {
    const retry = () => {
      blocked.value = false;
      for (const play of [...retries.current]) play();
    };
    addEventListener("pointerdown", retry);
    addEventListener("keydown", retry);
    return () => {
      removeEventListener("pointerdown", retry);
      removeEventListener("keydown", retry);
    };
  }, []);
  const audible = slots.value.filter(({ kind }) => kind === "mic" || kind === "screenAudio");
  return (
    <>
      {audible.map((slot) => (
        <SlotAudio
          key={`${slot.stream.id}`}
          slot={slot}
          onBlocked={(play) => {
            blocked.value = true;
            retries.current.add(play);
          }}
        />
      ))}
      {blocked.value && (
        <button type="button" class="button button-primary call-unmute">
          <Icon name="sound" /> {t("control.noAudio")}
        </button>
      )}
    </>
  );
}

function SlotAudio({ slot, onBlocked }: { slot: Slot; onBlocked: (play: () => void) => void }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return undefined;
    audio.srcObject = slot.stream;
    const play = () =>
      void audio.play().catch((error: DOMException) => {
        if (error.name === "NotAllowedError" && audio.isConnected) onBlocked(play);
      });
    play();
    return () => {
      audio.srcObject = null;
    };
  }, [slot.stream]);
  const speaker = choice.value.speaker ?? "";
  useEffect(() => {
    // A loudspeaker that is gone: the browser goes on with its own choice.
    if (element.current && "setSinkId" in element.current) element.current.setSinkId(speaker).catch(() => {});
  }, [speaker]);
  // biome-ignore lint/a11y/useMediaCaption: live speech has no captions
  return <audio ref={element} autoplay />;
}
