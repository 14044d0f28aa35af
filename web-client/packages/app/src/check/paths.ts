import type { IceServer } from "@ringhall/core";
import type { Results, StepResult } from "./result.ts";

/** How long a TURN server may take, handshakes included. */
const PATIENCE_MS = 12_000;
/** `icecandidateerror` (W3C WebRTC): the server was not reached at all. */
const UNREACHED = 701;

type Way = "udp" | "tcp" | "tls";
const WAYS: readonly Way[] = ["udp", "tcp", "tls"];

/** What became of the attempts by one way: `code` is STUN's, or 701, or 0 when the browser does not tell. */
export interface Seen {
  urls: string[];
  relayed: boolean;
  code: number;
  reason: string;
  ms: number;
}

/** Which way a URL of a TURN server goes (RFC 7065); null for STUN. */
export function wayOf(url: string): Way | null {
  if (url.startsWith("turns:")) return "tls";
  if (!url.startsWith("turn:")) return null;
  return /[?&]transport=tcp/.test(url) ? "tcp" : "udp";
}

/** The servers by way, each with the URLs of that way alone. */
export function byWay(servers: readonly IceServer[], way: Way): IceServer[] {
  return servers
    .map((server) => ({ ...server, urls: server.urls.filter((url) => wayOf(url) === way) }))
    .filter((server) => server.urls.length > 0);
}

/** Asks for a relayed address by one way. */
async function attempt(servers: IceServer[]): Promise<Seen> {
  const seen: Seen = { urls: servers.flatMap(({ urls }) => urls), relayed: false, code: 0, reason: "", ms: 0 };
  const begun = performance.now();
  let pc: RTCPeerConnection | null = null;
  try {
    const made = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: "relay" });
    pc = made;
    const done = new Promise<void>((resolve) => {
      setTimeout(resolve, PATIENCE_MS);
      made.addEventListener("icecandidate", ({ candidate }) => {
        if (candidate?.type === "relay" || / typ relay /.test(candidate?.candidate ?? "")) {
          seen.relayed = true;
          resolve();
        }
      });
      made.addEventListener("icecandidateerror", (event) => {
        const { errorCode, errorText } = event as RTCPeerConnectionIceErrorEvent;
        // One address may be out of reach while another refuses: the refusal says more.
        if (seen.code === 0 || seen.code === UNREACHED) [seen.code, seen.reason] = [errorCode, errorText];
      });
      made.addEventListener("icegatheringstatechange", () => {
        // The error that explains it comes just behind.
        if (made.iceGatheringState === "complete") setTimeout(resolve, 100);
      });
    });
    made.createDataChannel("check");
    await made.setLocalDescription(await made.createOffer());
    await done;
  } catch (error) {
    // A browser takes no TURN server without a password, for one.
    seen.reason = String(error);
  } finally {
    pc?.close();
  }
  seen.ms = Math.round(performance.now() - begun);
  return seen;
}

/** Tries every way at once. */
export async function tryWays(servers: readonly IceServer[]): Promise<Record<Way, Seen | null>> {
  const attempts = WAYS.map((way) => {
    const some = byWay(servers, way);
    return some.length > 0 ? attempt(some) : Promise.resolve(null);
  });
  const [udp = null, tcp = null, tls = null] = await Promise.all(attempts);
  return { udp, tcp, tls };
}

/** Something came back, if only a refusal. */
const reached = (seen: Seen | null) => seen !== null && (seen.relayed || (seen.code >= 300 && seen.code < UNREACHED));

/** What the attempts mean for somebody who wants to talk. */
export function judgeWays(seen: Record<Way, Seen | null>): Results {
  const anyWay = WAYS.some((way) => seen[way]?.relayed);
  const bad = anyWay ? "warning" : "fault";
  const detail = (way: Way) => {
    const one = seen[way];
    if (!one) return {};
    const why = one.relayed ? "" : `; code ${one.code || "unknown"} ${one.reason}`.trimEnd();
    return { detail: `${one.urls.join(", ")}; ${one.ms} ms${why}` };
  };
  const reach = (way: "udp" | "tcp"): StepResult => {
    if (!seen[way]) return { level: "skipped", key: "check.untold" };
    const level = reached(seen[way]) ? "ok" : bad;
    return { level, key: level === "ok" ? `check.${way}.ok` : `check.${way}.blocked`, ...detail(way) };
  };
  const relay = (way: Way): StepResult => {
    const one = seen[way];
    if (!one) return { level: way === "udp" ? "fault" : "warning", key: `check.turn.untold.${way}` };
    if (one.relayed) return { level: "ok", key: "check.turn.ok", ...detail(way) };
    return { level: bad, key: reached(one) ? "check.turn.refused" : "check.turn.unreached", ...detail(way) };
  };
  return {
    udp: reach("udp"),
    tcp: reach("tcp"),
    turnUdp: relay("udp"),
    turnTcp: relay("tcp"),
    turnTls: relay("tls"),
  };
}
