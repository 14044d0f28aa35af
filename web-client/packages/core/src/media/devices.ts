import { type DeviceProblem, deviceProblem } from "../errors.ts";
import type { MediaSource } from "../protocol/index.ts";

/** A device could not be had; `problem` says what a person can do about it. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";

  constructor(
    readonly source: MediaSource,
    readonly problem: DeviceProblem,
  ) {
    super(`${source}: ${problem}`);
  }
}

const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
  facingMode: "user",
};

/** Where tracks come from: the browser, or a test. Microphone and camera are asked for apart. */
export interface Devices {
  mic(): Promise<MediaStreamTrack>;
  camera(): Promise<MediaStreamTrack>;
  screen(): Promise<{ video: MediaStreamTrack; audio: MediaStreamTrack | null }>;
}

/** Which devices are wanted, by `deviceId`; one that is not there (any more) is replaced by the browser's own choice. */
export interface DeviceChoice {
  mic?: string;
  camera?: string;
}

const wanted = (id: string | undefined) => (id ? { deviceId: { ideal: id } } : {});

/** The browser's devices; `choice` is asked at each opening. Failures are {@link DeviceError}s. */
export const browserDevices = (choice: () => DeviceChoice = () => ({})): Devices => ({
  mic: () =>
    capture(
      "mic",
      { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...wanted(choice().mic) } },
      (stream) => stream.getAudioTracks().at(0),
    ),
  camera: () =>
    capture("camera", { video: { ...CAMERA, ...wanted(choice().camera) } }, (stream) => stream.getVideoTracks().at(0)),
  async screen() {
    if (!navigator.mediaDevices?.getDisplayMedia) throw new DeviceError("screen", "insecure");
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 30 } }, audio: true });
      const video = stream.getVideoTracks().at(0);
      if (!video) throw new DeviceError("screen", "missing");
      // Text matters more than movement.
      video.contentHint = "detail";
      return { video, audio: stream.getAudioTracks().at(0) ?? null };
    } catch (error) {
      throw error instanceof DeviceError ? error : new DeviceError("screen", deviceProblem(error));
    }
  },
});

async function capture(
  source: MediaSource,
  constraints: MediaStreamConstraints,
  pick: (stream: MediaStream) => MediaStreamTrack | undefined,
): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices?.getUserMedia) throw new DeviceError(source, "insecure");
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new DeviceError(source, deviceProblem(error));
  }
  const track = pick(stream);
  if (!track) throw new DeviceError(source, "missing");
  return track;
}
