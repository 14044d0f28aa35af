import { type LocalErrorCode, RinghallError } from "../errors.ts";
import type { ErrorCode, UserId } from "../protocol/index.ts";

/** The largest payload of a message, in bytes, together with its topic. */
export const MAX_DATA = 16_000;
/** Bytes of a topic's name. */
const MAX_TOPIC = 100;
/** What may wait here for the network; more is refused, so that a page does not fill its own memory. */
const MAX_WAITING = 256 * 1_024;

/** A message of another participant. */
export interface DataMessage {
  /** Who has sent it; the server says so. */
  userId: UserId;
  /** What it is about; the sender's word. */
  topic: string;
  payload: Uint8Array;
  /** It came by the reliable channel. */
  reliable: boolean;
}

/** What a link hears on its data channels: a message, or why the server refused one. */
export type DataEvent = { message: DataMessage } | { refused: RinghallError };

/** A connection's two data channels; the browser's, or a test's. */
export interface DataPort {
  /**
   * Sends a message to everybody in the call.
   * @throws RinghallError `OFFLINE` (not connected yet), `GONE` (the server closed the channel), `RATE_LIMITED` (too much
   * waits here) or `BAD_REQUEST` (too large).
   */
  send(topic: string, payload: Uint8Array, reliable: boolean): void;
  /** Hears what comes from now on. */
  listen(listener: (event: DataEvent) => void): void;
}

/** The browser's. Both channels have fixed numbers, so that no message opens them: they work from the first round trip on. */
export class DataChannels implements DataPort {
  #reliable: RTCDataChannel;
  #lossy: RTCDataChannel;
  #listener: (event: DataEvent) => void = () => {};

  constructor(pc: RTCPeerConnection) {
    this.#reliable = this.#open(pc, "reliable", { negotiated: true, id: 0 });
    this.#lossy = this.#open(pc, "lossy", { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 });
  }

  send(topic: string, payload: Uint8Array, reliable: boolean): void {
    const bytes = packData(topic, payload);
    const channel = reliable ? this.#reliable : this.#lossy;
    if (channel.readyState === "connecting") throw new RinghallError("OFFLINE", "The connection is not up yet.");
    if (channel.readyState !== "open") throw new RinghallError("GONE", "This channel was closed.");
    if (channel.bufferedAmount + bytes.length > MAX_WAITING) {
      throw new RinghallError("RATE_LIMITED", "More waits to be sent than the connection takes.", 1_000);
    }
    channel.send(bytes);
  }

  listen(listener: (event: DataEvent) => void): void {
    this.#listener = listener;
  }

  #open(pc: RTCPeerConnection, label: string, init: RTCDataChannelInit): RTCDataChannel {
    const channel = pc.createDataChannel(label, init);
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
      const event = readData(data, label === "reliable");
      if (event) this.#listener(event);
    });
    return channel;
  }
}

/** One byte of length and the topic, then the payload. */
export function packData(topic: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(topic);
  if (name.length > MAX_TOPIC) throw new RinghallError("BAD_REQUEST", `A topic may have ${MAX_TOPIC} bytes.`);
  if (1 + name.length + payload.length > MAX_DATA) {
    throw new RinghallError("BAD_REQUEST", `A message may have ${MAX_DATA} bytes with its topic; send it in parts.`);
  }
  const bytes = new Uint8Array(1 + name.length + payload.length);
  bytes[0] = name.length;
  bytes.set(name, 1);
  bytes.set(payload, 1 + name.length);
  return bytes;
}

/** What came: text is the server's own word, binary somebody's message with their name in front. Null: neither. */
export function readData(data: string | ArrayBuffer, reliable: boolean): DataEvent | null {
  if (typeof data === "string") {
    try {
      const { code, message, retryAfterMs } = JSON.parse(data) as Record<string, unknown>;
      const known = code as ErrorCode | LocalErrorCode;
      return { refused: new RinghallError(known, String(message), Number(retryAfterMs) || 0) };
    } catch {
      return null;
    }
  }
  const user = readName(new Uint8Array(data));
  const topic = user && readName(user.rest);
  return user && topic && { message: { userId: user.name, topic: topic.name, payload: topic.rest, reliable } };
}

function readName(bytes: Uint8Array): { name: string; rest: Uint8Array } | null {
  const end = 1 + (bytes[0] ?? Number.POSITIVE_INFINITY);
  if (end > bytes.length) return null;
  return { name: new TextDecoder().decode(bytes.subarray(1, end)), rest: bytes.subarray(end) };
}
