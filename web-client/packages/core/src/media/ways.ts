import type { MediaWay } from "../protocol/index.ts";

const UDP_CANDIDATE = /^a=(candidate:\S+ \d+ udp .*)\r\n/gim;
const TCP_CANDIDATE = /^a=candidate:\S+ \d+ tcp /im;

/**
 * An answer for a network where UDP failed lately: the server's candidates by TCP, and those by UDP for later. A browser checks
 * one candidate after the other, the best first, and waits for each; so it begins with what works there.
 */
export function heldBack(answer: string, ways: readonly MediaWay[]): { sdp: string; later: string[] } {
  if (ways[0] !== "tcp" || !TCP_CANDIDATE.test(answer)) return { sdp: answer, later: [] };
  const later = [...answer.matchAll(UDP_CANDIDATE)].map(([, candidate]) => candidate ?? "");
  return { sdp: answer.replace(UDP_CANDIDATE, ""), later: [...new Set(later)] };
}
