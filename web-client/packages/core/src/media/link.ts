import type { IceServer, MediaSource, MediaWay, VideoCodec } from "../protocol/index.ts";
import type { DataPort } from "./data.ts";
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

/** What goes into `media_offer`. */
export interface Offer {
  sdp: string;
  mids: Record<string, MediaSource>;
}

/** One media connection to the server; the browser's, or a test's. */
export interface MediaLink {
  readonly slots: readonly Slot[];
  /** Messages to and from everybody in the call. */
  readonly data: DataPort;
  /** A whole offer: the first, or one that brings the slots added by {@link grow}. */
  offer(): Promise<Offer>;
  /** Adds receive slots, so that there are this many for cameras; the next {@link offer} brings them. */
  grow(cameras: number): void;
  /** Takes an offer back that was not answered, and the slots it was to add. */
  takeBack(): Promise<void>;
  /** New ICE credentials for the same connection. */
  restart(): Promise<IceCredentials>;
  accept(answer: LinkAnswer): Promise<void>;
  /** What a publish m-line sends; nothing is renegotiated. */
  setTrack(source: MediaSource, track: MediaStreamTrack | null): Promise<void>;
  /** Which layers are worth encoding, smallest first, and the codec of the room. */
  setLayers(source: MediaSource, active: readonly boolean[], codec?: VideoCodec): Promise<void>;
  /** Of each source that is encoded: whether the processor limits it, as far as the browser says that. */
  limits(): Promise<ReadonlyMap<MediaSource, boolean>>;
  /** A number that changes whenever a packet came in. */
  activity(): Promise<number>;
  /** Packets received on each receive m-line when {@link activity} was asked last. */
  readonly received: ReadonlyMap<string, number>;
  close(): void;
}

/**
 * Makes a connection with this many camera slots, for these codecs, the preferred first, in a network where media gets through
 * by these ways, the best first. Nothing is sent before its first offer.
 */
export type OpenLink = (
  ice: readonly IceServer[],
  onState: (state: LinkState) => void,
  cameras: number,
  codecs?: readonly VideoCodec[],
  ways?: readonly MediaWay[],
) => MediaLink;
