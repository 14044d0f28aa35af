import type { DeviceProblem } from "../errors.ts";
import { DeviceError, type Devices } from "../media/devices.ts";
import type { MediaSource } from "../protocol/index.ts";

export interface LocalMediaHooks {
  /** A publish m-line sends this track from now on, or nothing. */
  onTrack(source: MediaSource, track: MediaStreamTrack | null): void;
  /** The others are to be told. */
  announce(source: MediaSource, on: boolean): void;
  /** Something that a page shows changed. */
  onChange(): void;
  onProblem(source: MediaSource, problem: DeviceProblem): void;
}

type Toggle = "mic" | "camera" | "screen";

/** This person's own devices in one call: what is on, the tracks, and what went wrong. */
export class LocalMedia {
  #tracks = new Map<MediaSource, MediaStreamTrack>();
  #streams = new Map<MediaSource, MediaStream>();
  #on = { mic: false, camera: false, screen: false };
  /** Counts up per wish; a device that arrives for an older wish is let go at once. */
  #wish = { mic: 0, camera: 0, screen: 0 };
  #ended = false;

  constructor(
    private readonly devices: Devices,
    private readonly hooks: LocalMediaHooks,
  ) {}

  isOn(source: Toggle): boolean {
    return this.#on[source];
  }

  track(source: MediaSource): MediaStreamTrack | null {
    return this.#tracks.get(source) ?? null;
  }

  tracks(): ReadonlyMap<MediaSource, MediaStreamTrack> {
    return this.#tracks;
  }

  /** For the self view. */
  stream(source: MediaSource): MediaStream | null {
    return this.#streams.get(source) ?? null;
  }

  /** Off keeps the device and sends silence, so that on is instant; the browser shows the microphone as in use. */
  async setMic(on: boolean): Promise<void> {
    const wish = ++this.#wish.mic;
    const track = this.#tracks.get("mic");
    if (!track && on) return this.#acquire("mic", wish, async () => this.#publish("mic", await this.devices.mic()));
    if (track) track.enabled = on;
    this.#set("mic", on);
  }

  /** Off lets the camera go, so that its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    const wish = ++this.#wish.camera;
    if (on && !this.#tracks.has("camera")) {
      return this.#acquire("camera", wish, async () => this.#publish("camera", await this.devices.camera()));
    }
    if (!on) this.#drop("camera");
    this.#set("camera", on);
  }

  async setScreen(on: boolean): Promise<void> {
    const wish = ++this.#wish.screen;
    if (on && !this.#tracks.has("screen")) {
      return this.#acquire("screen", wish, async () => {
        const { video, audio } = await this.devices.screen();
        if (this.#stale("screen", wish)) audio?.stop();
        else if (audio) this.#publish("screenAudio", audio);
        return this.#publish("screen", video);
      });
    }
    if (!on) {
      this.#drop("screen");
      this.#drop("screenAudio");
    }
    this.#set("screen", on);
  }

  /** Another device was chosen: what is on is opened anew from it, and goes on without a new offer. */
  async reopen(source: "mic" | "camera"): Promise<void> {
    if (!this.#tracks.has(source)) return;
    const wish = ++this.#wish[source];
    await this.#acquire(
      source,
      wish,
      async () => {
        const track = await (source === "mic" ? this.devices.mic() : this.devices.camera());
        track.enabled = this.#on[source];
        return this.#publish(source, track);
      },
      this.#on[source],
    );
  }

  /** Says again what is on, as after a join. */
  announceAll(): void {
    this.hooks.announce("mic", this.#on.mic);
    this.hooks.announce("camera", this.#on.camera);
    if (this.#on.screen) this.hooks.announce("screen", true);
  }

  /** A moderator muted it, or the server refused to unmute: off here, without telling the server what it knows. */
  forceOff(source: MediaSource): void {
    if (source === "screenAudio") return this.#drop("screenAudio");
    this.#wish[source] += 1;
    this.#on[source] = false;
    const mic = this.#tracks.get("mic");
    if (source === "mic" && mic) mic.enabled = false;
    else this.#drop(source);
    if (source === "screen") this.#drop("screenAudio");
    this.hooks.onChange();
  }

  /** Stops every track. */
  end(): void {
    this.#ended = true;
    for (const track of this.#tracks.values()) track.stop();
    this.#tracks.clear();
    this.#streams.clear();
    this.#on = { mic: false, camera: false, screen: false };
  }

  async #acquire(source: Toggle, wish: number, get: () => Promise<MediaStreamTrack>, on = true): Promise<void> {
    try {
      const track = await get();
      if (this.#stale(source, wish)) return this.#discard(source, track);
      this.#set(source, on);
    } catch (error) {
      if (this.#stale(source, wish)) return;
      this.#on[source] = false;
      this.hooks.onProblem(source, error instanceof DeviceError ? error.problem : "unknown");
      this.hooks.onChange();
    }
  }

  /** Somebody chose otherwise while the device was being opened. */
  #discard(source: Toggle, track: MediaStreamTrack): void {
    if (this.#ended) track.stop();
    else if (source === "mic") track.enabled = this.#on.mic;
    else if (!this.#on[source]) {
      this.#drop(source);
      if (source === "screen") this.#drop("screenAudio");
    }
  }

  #stale(source: Toggle, wish: number): boolean {
    return this.#ended || this.#wish[source] !== wish;
  }

  #publish(source: MediaSource, track: MediaStreamTrack): MediaStreamTrack {
    if (this.#ended) {
      track.stop();
      return track;
    }
    this.#tracks.get(source)?.stop();
    this.#tracks.set(source, track);
    if (source !== "mic") this.#streams.set(source, new MediaStream([track]));
    // Unplugged, or "stop sharing" in the browser's own bar.
    track.addEventListener("ended", () => {
      if (this.#tracks.get(source) === track) this.#gone(source);
    });
    this.hooks.onTrack(source, track);
    return track;
  }

  #gone(source: MediaSource): void {
    this.#drop(source);
    if (source === "screen") this.#drop("screenAudio");
    if (source !== "screenAudio") {
      this.#set(source, false);
      if (source !== "screen") this.hooks.onProblem(source, "missing");
    }
  }

  #drop(source: MediaSource): void {
    const track = this.#tracks.get(source);
    if (!track) return;
    this.#tracks.delete(source);
    this.#streams.delete(source);
    track.stop();
    this.hooks.onTrack(source, null);
  }

  #set(source: Toggle, on: boolean): void {
    const changed = this.#on[source] !== on;
    this.#on[source] = on;
    if (changed) this.hooks.announce(source, on);
    this.hooks.onChange();
  }
}
