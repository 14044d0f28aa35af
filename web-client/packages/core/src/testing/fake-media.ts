import type { DataEvent, DataPort } from "../media/data.ts";
import { DeviceError, type Devices } from "../media/devices.ts";
import type { LinkAnswer, LinkState, MediaLink, OpenLink, Slot } from "../media/link.ts";
import type { MediaSource } from "../protocol/index.ts";

/** As much of a MediaStreamTrack as a call touches. */
export class FakeTrack extends EventTarget {
  enabled = true;
  readyState: "live" | "ended" = "live";
  constructor(readonly kind: string) {
    super();
  }
  stop(): void {
    this.readyState = "ended";
  }
  asTrack(): MediaStreamTrack {
    return this as unknown as MediaStreamTrack;
  }
}

/** Data channels that keep what is sent and say what a test wants said. */
export class FakeData implements DataPort {
  sent: Array<{ topic: string; payload: Uint8Array; reliable: boolean }> = [];
  hear: (event: DataEvent) => void = () => {};
  send(topic: string, payload: Uint8Array, reliable: boolean): void {
    this.sent.push({ topic, payload, reliable });
  }
  listen(listener: (event: DataEvent) => void): void {
    this.hear = listener;
  }
}

export class FakeLink implements MediaLink {
  data = new FakeData();
  slots: Slot[] = [];
  closed = false;
  answers: LinkAnswer[] = [];
  sent = new Map<MediaSource, MediaStreamTrack | null>();
  restarts = 0;
  takenBack = 0;
  packets = 0;
  received = new Map<string, number>();
  /** M-lines on which nothing comes although the path lives. */
  mute = new Set<string>();
  /** Packets come in all the time until this is set. */
  dead = false;

  constructor(
    private readonly onState: (state: LinkState) => void,
    public cameras: number,
  ) {}

  async offer() {
    const stream = {} as MediaStream;
    const camera = (_: unknown, i: number): Slot => ({ mid: String(5 + i), kind: "camera", stream });
    this.slots = [
      { mid: "4", kind: "mic", stream },
      ...Array.from({ length: this.cameras }, camera),
      { mid: "99", kind: "screen", stream },
    ];
    return { sdp: "offer", mids: { "0": "mic", "1": "camera" } as Record<string, MediaSource> };
  }
  grow(cameras: number) {
    this.cameras = cameras;
  }
  async takeBack() {
    this.takenBack += 1;
  }
  async restart() {
    this.restarts += 1;
    return { ufrag: `u${this.restarts}`, pwd: "p" };
  }
  async accept(answer: LinkAnswer) {
    this.answers.push(answer);
  }
  async setTrack(source: MediaSource, track: MediaStreamTrack | null) {
    this.sent.set(source, track);
  }
  async setLayers() {}
  /** What its processor limits. */
  limited = new Map<MediaSource, boolean>();
  async limits() {
    return this.limited;
  }
  async activity() {
    if (!this.dead) {
      this.packets += 1;
      for (const { mid } of this.slots) if (!this.mute.has(mid)) this.received.set(mid, this.packets);
    }
    return this.packets;
  }
  close() {
    this.closed = true;
  }
  become(state: LinkState): void {
    this.onState(state);
  }
}

/** Every connection that was made, oldest first. */
export class FakeLinks {
  all: FakeLink[] = [];
  open: OpenLink = (_ice, onState, cameras) => {
    const link = new FakeLink(onState, cameras);
    this.all.push(link);
    return link;
  };
  get last(): FakeLink {
    const link = this.all.at(-1);
    if (!link) throw new Error("no connection was made");
    return link;
  }
}

/** Devices that are there at once, or fail as told. */
export class FakeDevices implements Devices {
  tracks: FakeTrack[] = [];
  missing = new Set<MediaSource>();

  mic = () => this.#get("mic");
  camera = () => this.#get("camera");
  screen = async () => ({ video: await this.#get("screen"), audio: null });

  async #get(source: MediaSource): Promise<MediaStreamTrack> {
    if (this.missing.has(source)) throw new DeviceError(source, "missing");
    const track = new FakeTrack(source);
    this.tracks.push(track);
    return track.asTrack();
  }
}
