import { browserDevices, browserSockets, CLOSE, DeviceError, type IceServer } from "@ringhall/core";
import { choice } from "../state/devices.ts";
import { judgeWays, tryWays } from "./paths.ts";
import type { Results, StepId, StepResult } from "./result.ts";

const SOCKET_PATIENCE_MS = 8_000;
const SERVER_PATIENCE_MS = 8_000;
/** How long each direction is measured. */
const MEASURE_MS = 1_500;
/** What a call of two with pictures needs, kbit/s in each direction (docs/layers.md), and sound alone. */
const GOOD_KBPS = 1_500;
const ENOUGH_KBPS = 100;

type Tell = (id: StepId, result: StepResult) => void;

/** Goes through all steps, and tells each result as it comes. `token`: of the session, or null. */
export async function runCheck(token: string | null, tell: Tell): Promise<void> {
  tell("page", page());
  tell("mic", await device("mic"));
  tell("camera", await device("camera"));
  tell("server", await server());
  const { result, ice } = await socket(token);
  tell("socket", result);
  const all = (results: Results) => {
    for (const [id, one] of Object.entries(results)) tell(id as StepId, one);
  };
  if (typeof RTCPeerConnection === "undefined" || !ice) {
    const why: StepResult = { level: "skipped", key: token ? "check.needsSocket" : "check.needsSignIn" };
    all({ udp: why, tcp: why, turnUdp: why, turnTcp: why, turnTls: why });
  } else {
    all(judgeWays(await tryWays(ice)));
  }
  tell("bandwidth", token ? await bandwidth(token) : { level: "skipped", key: "check.needsSignIn" });
}

function page(): StepResult {
  if (!isSecureContext) return { level: "fault", key: "check.page.insecure", detail: location.origin };
  if (typeof RTCPeerConnection === "undefined") return { level: "fault", key: "check.page.noWebRtc" };
  return { level: "ok", key: "check.page.ok" };
}

async function device(which: "mic" | "camera"): Promise<StepResult> {
  try {
    const track = await browserDevices(() => choice.value)[which]();
    const name = track.label;
    track.stop();
    return { level: "ok", key: "check.device.ok", params: { name } };
  } catch (error) {
    const problem = error instanceof DeviceError ? error.problem : "unknown";
    // One can take part without a camera, but hardly without a voice.
    return { level: which === "mic" ? "fault" : "warning", key: `device.${which}.${problem}` };
  }
}

async function server(): Promise<StepResult> {
  const begun = performance.now();
  try {
    const answer = await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(SERVER_PATIENCE_MS) });
    const ms = Math.round(performance.now() - begun);
    if (answer.ok) return { level: "ok", key: "check.server.ok", params: { ms } };
    return {
      level: "fault",
      key: "check.server.unready",
      detail: `${answer.status} ${(await answer.text()).slice(0, 200)}`,
    };
  } catch (error) {
    return { level: "fault", key: "check.server.gone", detail: String(error) };
  }
}

/** Says hello as a tab of its own, so that no other tab is disturbed. */
function socket(token: string | null): Promise<{ result: StepResult; ice: IceServer[] | null }> {
  const begun = performance.now();
  const ws = browserSockets(`${location.origin.replace(/^http/, "ws")}/v1/ws`)();
  return new Promise((resolve) => {
    let opened = false;
    const end = (result: StepResult, ice: IceServer[] | null = null) => {
      clearTimeout(timer);
      ws.close(1000);
      resolve({ result, ice });
    };
    const timer = setTimeout(
      () => end({ level: "fault", key: "check.socket.silent", detail: opened ? "open, no welcome" : "not open" }),
      SOCKET_PATIENCE_MS,
    );
    const ok = (): StepResult => ({
      level: "ok",
      key: "check.socket.ok",
      params: { ms: Math.round(performance.now() - begun) },
    });
    ws.onopen = () => {
      opened = true;
      ws.send(JSON.stringify({ t: "hello", token: token ?? "none", device: crypto.randomUUID() }));
    };
    ws.onmessage = (text) => {
      const frame = JSON.parse(text) as { t: string; ice?: IceServer[]; relays?: IceServer[] };
      if (frame.t === "welcome") end(ok(), [...(frame.ice ?? []), ...(frame.relays ?? [])]);
    };
    ws.onclose = (code) => {
      // Without a sign-in the refusal is the answer: it came all the way.
      if (code === CLOSE.auth) end(token ? { level: "fault", key: "check.socket.signedOut" } : ok());
      else
        end({
          level: "fault",
          key: "check.socket.refused",
          detail: `close code ${code}${opened ? "" : ", never open"}`,
        });
    };
  });
}

async function bandwidth(token: string): Promise<StepResult> {
  const headers = { Authorization: `Bearer ${token}` };
  const url = "/api/v1/check/bytes";
  try {
    const down = await measured(async (signal) => {
      const answer = await fetch(url, { headers, signal, cache: "no-store" });
      return answer.ok ? answer.body : Promise.reject(new Error(String(answer.status)));
    });
    const piece = crypto.getRandomValues(new Uint8Array(32 << 10));
    const up = await measured(async (signal) => {
      const answer = await fetch(url, { method: "POST", headers, signal, body: piece });
      return answer.ok ? piece.length : Promise.reject(new Error(String(answer.status)));
    });
    const least = Math.min(down, up);
    const level = least >= GOOD_KBPS ? "ok" : least >= ENOUGH_KBPS ? "warning" : "fault";
    const params = { down: mbps(down), up: mbps(up) };
    return { level, key: level === "ok" ? "check.bandwidth.ok" : "check.bandwidth.low", params };
  } catch (error) {
    return { level: "fault", key: "check.bandwidth.failed", detail: String(error) };
  }
}

const mbps = (kbps: number) => (kbps / 1_000).toFixed(kbps < 10_000 ? 1 : 0);

/** Repeats a transfer for a while; kbit/s. A piece is the number of its bytes, or a stream whose bytes are counted as they come. */
async function measured(
  transfer: (signal: AbortSignal) => Promise<ReadableStream<Uint8Array> | number | null>,
): Promise<number> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), MEASURE_MS);
  const begun = performance.now();
  let bytes = 0;
  let last = begun;
  const count = (more: number) => {
    bytes += more;
    last = performance.now();
  };
  try {
    while (!stop.signal.aborted) {
      const piece = await transfer(stop.signal);
      if (typeof piece === "number") count(piece);
      else if (piece) {
        const reader = piece.getReader();
        for (let read = await reader.read(); !read.done; read = await reader.read()) count(read.value.length);
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return bytes === 0 ? 0 : (bytes * 8) / Math.max(last - begun, 1);
}
