import type { Devices } from "../media/devices.ts";
import type { LinkState, MediaLink, Offer, OpenLink } from "../media/link.ts";
import type { IceServer } from "../protocol/index.ts";

/**
 * A media connection whose offer is being made. Making it (20 m-lines) takes longer than the command that it waits for, so
 * it begins while a call rings, or beside the command; nothing is sent before the offer is.
 */
export class EarlyLink {
  readonly link: MediaLink;
  readonly offer: Promise<Offer>;
  #onState: (state: LinkState) => void = () => {};

  constructor(open: OpenLink, ice: readonly IceServer[], cameras: number) {
    this.link = open(ice, (state) => this.#onState(state), cameras);
    this.offer = this.link.offer();
    // Whoever uses the link hears of a failure; if nobody does, nobody needs to.
    this.offer.catch(() => {});
  }

  use(onState: (state: LinkState) => void): MediaLink {
    this.#onState = onState;
    return this.link;
  }

  discard(): void {
    this.link.close();
  }
}

/** Devices of which some are being opened already; each early one is given once, later ones come from `devices`. */
export class EarlyDevices implements Devices {
  #mic: Promise<MediaStreamTrack> | null;
  #camera: Promise<MediaStreamTrack> | null;

  constructor(
    private readonly devices: Devices,
    wanted: { mic: boolean; camera: boolean },
  ) {
    this.#mic = wanted.mic ? devices.mic() : null;
    this.#camera = wanted.camera ? devices.camera() : null;
    this.#mic?.catch(() => {});
    this.#camera?.catch(() => {});
  }

  mic(): Promise<MediaStreamTrack> {
    const early = this.#mic;
    this.#mic = null;
    return early ?? this.devices.mic();
  }

  camera(): Promise<MediaStreamTrack> {
    const early = this.#camera;
    this.#camera = null;
    return early ?? this.devices.camera();
  }

  screen(): ReturnType<Devices["screen"]> {
    return this.devices.screen();
  }

  /** Lets go of what nobody took. */
  discard(): void {
    for (const early of [this.#mic, this.#camera]) {
      early?.then(
        (track) => track.stop(),
        () => {},
      );
    }
    this.#mic = null;
    this.#camera = null;
  }
}
