import { describe, expect, it } from "vitest";
import { applyLayers, encodingsFor } from "./publish.ts";

const parameters = (encodings: object[]) => ({
  encodings: encodings as RTCRtpEncodingParameters[],
  codecs: [
    { mimeType: "video/VP9", clockRate: 90_000, payloadType: 98, sdpFmtpLine: "profile-id=0" },
    { mimeType: "video/VP8", clockRate: 90_000, payloadType: 96 },
  ],
  headerExtensions: [],
  rtcp: {},
  transactionId: "1",
});

describe("what is encoded", () => {
  it("is three streams of a camera in any codec, and one of a screen", () => {
    expect(encodingsFor("camera", ["vp8"])).toHaveLength(3);
    expect(encodingsFor("camera", ["av1", "vp8"])).toEqual(
      expect.arrayContaining([expect.objectContaining({ rid: "f", scalabilityMode: "L1T2" })]),
    );
    expect(encodingsFor("screen", ["vp8"])).toHaveLength(1);
    expect(encodingsFor("mic", ["vp8"])).toBeUndefined();
  });

  it("stops with the last viewer of a layer and begins again with the next", () => {
    const camera = parameters([{ rid: "q" }, { rid: "h" }, { rid: "f" }]);
    expect(applyLayers(camera, [true, true, false])).toBe(true);
    expect(camera.encodings.map(({ active }) => active)).toEqual([true, true, false]);
    expect(applyLayers(camera, [true, true, false])).toBe(false);
    expect(applyLayers(camera, [true])).toBe(false);
  });

  it("loses spatial layers inside one stream", () => {
    const camera = parameters([{ scalabilityMode: "L3T3_KEY" }]);
    expect(applyLayers(camera, [true, true, false])).toBe(true);
    expect(camera.encodings).toEqual([{ scalabilityMode: "L2T3_KEY" }]);
    applyLayers(camera, [true, false, false]);
    expect(camera.encodings).toEqual([{ scalabilityMode: "L1T3" }]);
  });

  it("changes to the codec of the room, as negotiated", () => {
    const camera = parameters([{ rid: "q" }]);
    expect(applyLayers(camera, [true], "vp8")).toBe(true);
    expect(camera.encodings).toEqual([{ rid: "q", active: true, codec: { mimeType: "video/VP8", clockRate: 90_000 } }]);
    expect(applyLayers(camera, [true], "vp8")).toBe(false);
    expect(applyLayers(camera, [true], "h264")).toBe(false);
  });
});
