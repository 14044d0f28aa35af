import type { MediaSource, VideoCodec } from "../protocol/index.ts";

// Smallest first, as the server numbers them. The rates are ceilings for 720p; the browser adapts below them.
const CAMERA_LAYERS: RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
const SCREEN_LAYERS: RTCRtpEncodingParameters[] = [{ maxBitrate: 2_500_000 }];

// Redundant audio first: a browser sends what stands first in the answer, which keeps this order.
const AUDIO_CODECS = ["audio/red", "audio/opus"];

/** `scalabilityMode` is not in the DOM types yet. */
type Encoding = RTCRtpEncodingParameters & { scalabilityMode?: string; codec?: RTCRtpCodec };
type Parameters = Omit<RTCRtpSendParameters, "encodings"> & { encodings: Encoding[] };

/**
 * What a source is encoded in. Three streams for a camera, whatever the codec, so that a room may change its codec without a
 * new offer; with VP9 and AV1 each is told to be one picture in two temporal layers, or browsers would send one stream of
 * three spatial layers in place of three streams.
 */
export function encodingsFor(
  source: MediaSource,
  codecs: readonly VideoCodec[],
): RTCRtpEncodingParameters[] | undefined {
  const layers = source === "camera" ? CAMERA_LAYERS : source === "screen" ? SCREEN_LAYERS : undefined;
  const mode = codecs[0] === "vp9" || codecs[0] === "av1" ? { scalabilityMode: "L1T2" } : {};
  return layers?.map((layer) => ({ ...layer, ...mode }));
}

/** Adds a publish m-line. A browser that does not know a mode refuses it: then without. */
export function addSender(
  pc: RTCPeerConnection,
  kind: "audio" | "video",
  sendEncodings: RTCRtpEncodingParameters[] | undefined,
): RTCRtpTransceiver {
  const direction = "sendonly";
  if (!sendEncodings) return pc.addTransceiver(kind, { direction });
  try {
    return pc.addTransceiver(kind, { direction, sendEncodings });
  } catch {
    const plain = sendEncodings.map(({ scalabilityMode: _, ...encoding }: Encoding) => encoding);
    return pc.addTransceiver(kind, { direction, sendEncodings: plain });
  }
}

/** Keeps the offer small: 18 m-lines with every codec of Chromium are 77 KB, with these 20. */
export function trimCodecs(transceiver: RTCRtpTransceiver, audio: boolean, video: readonly VideoCodec[]): void {
  const wanted = audio ? AUDIO_CODECS : [...video.map((codec) => `video/${codec}`), "video/rtx"];
  const all = RTCRtpReceiver.getCapabilities(audio ? "audio" : "video")?.codecs ?? [];
  const codecs = wanted.flatMap((mime) => all.filter((codec) => codec.mimeType.toLowerCase() === mime));
  if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
}

/** Encodes what is watched, in the codec of the room; returns whether anything changes. */
export function applyLayers(parameters: Parameters, active: readonly boolean[], codec?: VideoCodec): boolean {
  const { encodings } = parameters;
  const before = JSON.stringify(encodings);
  const preferred = codec && parameters.codecs.find(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`);
  encodings.forEach((encoding, i) => {
    if (encodings.length === active.length) encoding.active = active[i] ?? true;
    if (preferred) {
      const { mimeType, clockRate, channels, sdpFmtpLine } = preferred;
      encoding.codec = { mimeType, clockRate, ...(channels && { channels }), ...(sdpFmtpLine && { sdpFmtpLine }) };
    }
  });
  const [only] = encodings;
  if (encodings.length === 1 && active.length > 1 && only?.scalabilityMode) {
    // Spatial layers of one stream: as many as up to the highest that is watched.
    const layers = Math.max(1, active.lastIndexOf(true) + 1);
    only.scalabilityMode = only.scalabilityMode.replace(/^L\d/, `L${layers}`).replace(/^(L1T\d).*/, "$1");
  }
  return JSON.stringify(encodings) !== before;
}
