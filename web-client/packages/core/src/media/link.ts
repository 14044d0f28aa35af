import type { IceServer, MediaSource } from "../protocol/index.ts";
import type { IceCredentials } from "./sdp.ts";

/** A receive m-line of the pool. */
export interface Slot {
  mid: string;
  /** What it is for: `mic` and `screenAudio` are heard, `camera` and `screen` are seen. */
  kind: MediaSource;
  stream: MediaStream;
}

export type LinkState = "connecting" | "connected" | "disconnected" | "failed";

/** What an answer brings: a description, or after an ICE restart the server's new credentials alone. */
export type LinkAnswer = { sdp: string } | IceCredentials;

/** One media connection to the server; the browser's, or a test's. */
export interface MediaLink {
  readonly slots: readonly Slot[];
  /** The one offer of this connection. */
  offer(): Promise<{ sdp: string; mids: Record<string, MediaSource> }>;
  /** New ICE credentials for the same connection. */
  restart(): Promise<IceCredentials>;
  accept(answer: LinkAnswer): Promise<void>;
  /** What a publish m-line sends; nothing is renegotiated. */
  setTrack(source: MediaSource, track: MediaStreamTrack | null): Promise<void>;
  /** Which simulcast layers are worth encoding, smallest first. */
  setLayers(source: MediaSource, active: readonly boolean[]): Promise<void>;
  /** A number that changes whenever a packet came in. */
  activity(): Promise<number>;
  close(): void;
}

export type OpenLink = (ice: readonly IceServer[], onState: (state: LinkState) => void) => MediaLink;
