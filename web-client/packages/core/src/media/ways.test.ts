import { expect, test } from "vitest";
import { heldBack } from "./ways.ts";

const udp = "candidate:1 1 udp 2130706431 203.0.113.7 7882 typ host";
const tcp = "candidate:2 1 tcp 1518280447 203.0.113.7 443 typ host tcptype passive";
const answer = (...candidates: string[]) =>
  ["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", ...candidates.map((c) => `a=${c}`), "a=mid:0", ""].join("\r\n");

test("where UDP failed lately its candidates come after the others", () => {
  const { sdp, later } = heldBack(answer(udp, tcp), ["tcp", "relay", "udp"]);
  expect(sdp).toBe(answer(tcp));
  expect(later).toEqual([udp]);
});

test("nothing is held back where UDP works, where a relay has to carry it, or where there is nothing else", () => {
  for (const ways of [["udp", "tcp", "relay"], ["relay", "udp", "tcp"], []] as const) {
    expect(heldBack(answer(udp, tcp), ways)).toEqual({ sdp: answer(udp, tcp), later: [] });
  }
  expect(heldBack(answer(udp), ["tcp", "relay", "udp"])).toEqual({ sdp: answer(udp), later: [] });
});
