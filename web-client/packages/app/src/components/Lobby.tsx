import { useSignal } from "@preact/signals";
import { DeviceError, type DeviceProblem } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { audioContext } from "../sound/context.ts";
import { playTone } from "../sound/tones.ts";
import { me } from "../state/app.ts";
import { devices, listDevices } from "../state/devices.ts";
import { lobbyChoice } from "../state/room.ts";
import { Avatar } from "./Avatar.tsx";
import { ControlButton } from "./ControlButton.tsx";
import { DeviceChoices } from "./DeviceDialog.tsx";

type Source = "mic" | "camera";

/** How one will look and sound, before anybody sees or hears it. Works without any device. */
export function Lobby() {
  const mic = usePreview("mic", lobbyChoice.value.mic);
  const camera = usePreview("camera", lobbyChoice.value.camera);
  const toggle = (source: Source) => {
    lobbyChoice.value = { ...lobbyChoice.value, [source]: !lobbyChoice.value[source] };
  };
  const { mic: micOn, camera: cameraOn } = lobbyChoice.value;
  return (
    <div class="lobby">
      <div class="lobby-picture">
        {cameraOn && camera.track ? (
          <Picture track={camera.track} />
        ) : (
          <Avatar id={me.value?.id ?? ""} name={me.value?.name ?? ""} url={me.value?.avatar} size="large" />
        )}
        <div class="lobby-toggles">
          <ControlButton
            testId="lobby-mic"
            on={micOn}
            icon={micOn ? "mic" : "micOff"}
            label={t(micOn ? "control.micOff" : "control.micOn")}
            look={micOn ? undefined : "warn"}
            onClick={() => toggle("mic")}
          />
          <ControlButton
            testId="lobby-camera"
            on={cameraOn}
            icon={cameraOn ? "video" : "videoOff"}
            label={t(cameraOn ? "control.cameraOff" : "control.cameraOn")}
            look={cameraOn ? undefined : "warn"}
            onClick={() => toggle("camera")}
          />
        </div>
      </div>
      <div class="lobby-side">
        <Meter track={micOn ? mic.track : null} />
        <DeviceChoices onChange={(which) => (which === "mic" ? mic.reopen() : which === "camera" && camera.reopen())} />
        <button type="button" class="button button-small" onClick={() => playTone("accepted")}>
          {t("lobby.testSound")}
        </button>
        {[mic, camera].map(
          ({ source, problem }) =>
            problem && (
              <p key={source} class="hint" role="status">
                {t(`device.${source}.${problem}`)}
              </p>
            ),
        )}
      </div>
    </div>
  );
}

interface Preview {
  source: Source;
  track: MediaStreamTrack | null;
  problem: DeviceProblem | null;
  reopen: () => void;
}

/** Opens a device while it is on, and lets it go with the page that shows it. */
function usePreview(source: Source, on: boolean): Preview {
  const track = useSignal<MediaStreamTrack | null>(null);
  const problem = useSignal<DeviceProblem | null>(null);
  const turn = useSignal(0);
  useEffect(() => {
    if (!on) return undefined;
    let over = false;
    let open: MediaStreamTrack | null = null;
    devices[source]().then(
      (opened) => {
        if (over) return opened.stop();
        open = opened;
        track.value = opened;
        problem.value = null;
        // Names of devices are told only once one has been allowed.
        void listDevices();
      },
      (error: unknown) => {
        if (!over) problem.value = error instanceof DeviceError ? error.problem : "unknown";
      },
    );
    return () => {
      over = true;
      open?.stop();
      track.value = null;
    };
  }, [on, turn.value]);
  return {
    source,
    track: track.value,
    problem: problem.value,
    reopen: () => {
      turn.value += 1;
    },
  };
}

function Picture({ track }: { track: MediaStreamTrack }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (element.current) element.current.srcObject = new MediaStream([track]);
  }, [track]);
  return <video ref={element} autoplay playsInline muted data-testid="lobby-preview" />;
}

const METER_MS = 100;

/** Whether the microphone hears anything. */
function Meter({ track }: { track: MediaStreamTrack | null }) {
  const level = useSignal(0);
  useEffect(() => {
    level.value = 0;
    if (!track) return undefined;
    const context = audioContext();
    const analyser = context.createAnalyser();
    const source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      // -60 dB is silence, 0 dB full scale.
      level.value = Math.max(0, Math.min(1, 1 + Math.log10(power + 1e-6) / 6));
    }, METER_MS);
    return () => {
      clearInterval(timer);
      source.disconnect();
    };
  }, [track]);
  return (
    <div class="meter">
      <meter class="visually-hidden" aria-label={t("lobby.level")} min={0} max={1} value={level.value} />
      <span style={{ width: `${Math.round(level.value * 100)}%` }} />
    </div>
  );
}
