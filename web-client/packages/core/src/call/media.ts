import type { Clock } from "../clock.ts";
import { RinghallError } from "../errors.ts";
import type { DataEvent } from "../media/data.ts";
import { LimitWatch } from "../media/limited.ts";
import type { LinkState, MediaLink, Offer, OpenLink, Slot } from "../media/link.ts";
import { PathWatch } from "../media/path.ts";
import { cameraStep } from "../media/pool.ts";
import { type Assignment, assignSlots, type WantedTile } from "../media/slots.ts";
import type { Command, IceServer, MediaAnswer, MediaSource, VideoCodec } from "../protocol/index.ts";
import { EarlyLink } from "./early.ts";
import { TrackFlow } from "./flow.ts";

export interface CallMediaOptions {
  callId: string;
  clock: Clock;
  openLink: OpenLink;
  ice: () => readonly IceServer[];
  /** Sends a command that is not repeated over a reconnect. */
  send: (command: Command) => Promise<unknown>;
  /** What is sent now; asked for whenever a connection is made. */
  tracks: () => ReadonlyMap<MediaSource, MediaStreamTrack>;
  onState: (up: boolean) => void;
  /** A connection is made, of which nothing is known yet. */
  onNew: () => void;
  /** The m-lines on which something is to come now, as far as the server has told. */
  expected: () => ReadonlySet<string>;
  /** Nothing comes in any more, and something is being done about it. */
  onSilent: () => void;
  /** This device's processor limits what it sends of a source, or does not any more. */
  onLimited: (source: MediaSource, cpu: boolean) => void;
  /** The receive slots are others than before. */
  onSlots: (slots: readonly Slot[]) => void;
  /** Something came by a data channel. */
  onData: (event: DataEvent) => void;
  /** The server will not have this offer, and asking again does not help. */
  onRefused: (error: RinghallError) => void;
}

/**
 * A restart that has not healed the path in this time is followed by the next step. Where UDP was blocked, Chromium leaves the silent pair
 * for one by TCP only after 3.5 s (2.5 s until it calls it silent, and 1 s before it switches); a new connection is sooner.
 */
const HEAL_MS = 1_200;
/** A new connection needs DTLS too. */
const REBUILD_MS = 5_000;
/** Restarts before the connection is made anew. */
const RESTARTS = 1;
/** Tiles appear in bursts (a join, a resize); one message says them all. */
const INTENTS_DEBOUNCE_MS = 100;
/** Intents that ask for nothing, as text. */
const NOTHING = "[]";
/** A silence shorter than this is healed without being shown. */
const SHOW_LOST_MS = 1_200;

/** After a restart packets of each kind have to come within this time: server and browser ask for what they miss by then. */
const VERIFY_MS = 3_000;

/** What an offer was for. */
type Purpose = "first" | "restart" | "grow";

/** One call's media: negotiates once, asks for what is visible, notices a dead path and heals it. */
export class CallMedia {
  #link: MediaLink | null = null;
  #watch: PathWatch | null = null;
  #limits: LimitWatch | null = null;
  #pending: { offerId: string; purpose: Purpose } | null = null;
  /** The server will not have more slots than these. */
  #mostCameras = Number.POSITIVE_INFINITY;
  #answered = false;
  #up = false;
  #healing = 0;
  #flow = new TrackFlow();
  /** What came in when the path was lost; looked at again once it is healed. */
  #flowed: readonly string[] | null = null;
  #cancelVerify: (() => void) | null = null;
  #wanted: readonly WantedTile[] = [];
  #assignment: Assignment = new Map();
  /** The intents that the server has, as text. */
  #told = "";
  #cancelHeal: (() => void) | null = null;
  #cancelShow: (() => void) | null = null;
  #cancelIntents: (() => void) | null = null;
  #ended = false;

  constructor(private readonly options: CallMediaOptions) {}

  get link(): MediaLink | null {
    return this.#link;
  }

  /** Makes a connection and offers it; or offers the one that was made while the call rang. */
  start(early?: EarlyLink): void {
    this.#build(early);
  }

  /**
   * The WebSocket is back: whatever got lost with the old one is said again. An ICE restart asks at once whether the
   * server still knows this connection, which one that was started anew does not; a path that was never steady would
   * take seven seconds to be called dead.
   */
  reconnected(): void {
    if (this.#ended || !this.#link) return;
    if (!this.#answered) {
      this.#build();
      if (this.#cancelHeal) this.#later(REBUILD_MS);
    } else {
      this.#restart();
      // What was tried over the old WebSocket was not heard.
      if (this.#cancelHeal) this.#later(HEAL_MS);
    }
    this.#told = "";
    this.#sendIntents();
  }

  /** The network changed under us. */
  networkChanged(): void {
    if (!this.#ended && this.#answered) this.#restart();
  }

  async answer(answer: MediaAnswer): Promise<void> {
    const { offerId, sdp, ufrag, pwd } = answer;
    if (this.#ended || offerId !== this.#pending?.offerId || !this.#link) return;
    const link = this.#link;
    this.#pending = null;
    try {
      if (sdp) {
        await link.accept({ sdp });
        if (link !== this.#link) return;
        this.#answered = true;
        this.options.onSlots(link.slots);
        this.#sendIntents();
      } else if (ufrag && pwd) {
        await link.accept({ ufrag, pwd });
        void this.#verifyLater();
        this.#grow();
      }
    } catch (error) {
      if (link !== this.#link) return;
      // A first answer that this browser does not take will not be better the next time.
      if (sdp) this.options.onRefused(new RinghallError("SDP_REJECTED", `The answer cannot be used: ${error}`));
      else this.#later(HEAL_MS);
    }
  }

  setTrack(source: MediaSource, track: MediaStreamTrack | null): void {
    this.#link?.setTrack(source, track).catch(ignoreClosed);
  }

  setLayers(source: MediaSource, active: readonly boolean[], codec?: VideoCodec): void {
    this.#link?.setLayers(source, active, codec).catch(ignoreClosed);
  }

  /** What the page shows now. The first wishes are told at once: somebody waits for a picture. */
  want(tiles: readonly WantedTile[]): void {
    this.#wanted = tiles;
    if (this.#told === "" || this.#told === NOTHING) this.#sendIntents();
    else this.#cancelIntents ??= this.options.clock.after(INTENTS_DEBOUNCE_MS, () => this.#sendIntents());
  }

  end(): void {
    this.#ended = true;
    this.#cancelHeal?.();
    this.#cancelShow?.();
    this.#cancelIntents?.();
    this.#cancelVerify?.();
    this.#watch?.stop();
    this.#limits?.stop();
    this.#link?.close();
    this.#link = null;
  }

  #build(early?: EarlyLink): void {
    this.#watch?.stop();
    this.#watch = null;
    this.#limits?.stop();
    this.#limits = null;
    this.#link?.close();
    this.#cancelVerify?.();
    this.#flow = new TrackFlow();
    this.#flowed = null;
    this.#answered = false;
    this.options.onNew();
    this.#assignment = new Map();
    this.#told = "";
    const { openLink, ice } = this.options;
    const made = early ?? new EarlyLink(openLink, ice(), cameraStep(this.#wantedCameras(), 0));
    const link = made.use((state) => {
      if (link === this.#link) this.#linkState(state);
    });
    this.#link = link;
    link.data.listen((event) => {
      if (link === this.#link && !this.#ended) this.options.onData(event);
    });
    for (const [source, track] of this.options.tracks()) link.setTrack(source, track).catch(ignoreClosed);
    this.#offer(link, "first", made.offer);
  }

  /** Sends an offer once it is made. */
  #offer(link: MediaLink, purpose: Purpose, making: Promise<Offer>): void {
    const offerId = crypto.randomUUID();
    this.#pending = { offerId, purpose };
    making
      .then(({ sdp, mids }) => {
        if (this.#ended || link !== this.#link || this.#pending?.offerId !== offerId) return undefined;
        if (purpose === "first") this.options.onSlots(link.slots);
        return this.#send({ op: "media_offer", d: { callId: this.options.callId, offerId, sdp, mids } }, offerId);
      })
      .catch((error: unknown) => {
        if (link === this.#link) this.options.onRefused(new RinghallError("SDP_REJECTED", `No offer: ${error}`));
      });
  }

  /** More tiles than slots: one offer brings the next step of the pool. */
  #grow(): void {
    const link = this.#link;
    if (!link || !this.#answered || this.#pending || this.#ended) return;
    const have = link.slots.filter(({ kind }) => kind === "camera").length;
    const step = cameraStep(this.#wantedCameras(), have);
    if (step <= have || step > this.#mostCameras) return;
    link.grow(step);
    this.#offer(link, "grow", link.offer());
  }

  #wantedCameras(): number {
    return this.#wanted.filter(({ source }) => source === "camera").length;
  }

  #restart(): void {
    const link = this.#link;
    if (!link || !this.#answered) return;
    this.#flowed ??= this.#flow.flowing(this.options.clock.now());
    const offerId = crypto.randomUUID();
    this.#pending = { offerId, purpose: "restart" };
    void link
      .restart()
      .then(({ ufrag, pwd }) => {
        if (this.#ended || link !== this.#link || this.#pending?.offerId !== offerId) return undefined;
        return this.#send({ op: "media_offer", d: { callId: this.options.callId, offerId, ufrag, pwd } }, offerId);
      })
      .catch(() => {
        if (link === this.#link) this.#later(HEAL_MS);
      });
  }

  async #send(command: Command, offerId: string): Promise<void> {
    try {
      await this.options.send(command);
    } catch (error) {
      if (this.#ended || this.#pending?.offerId !== offerId) return;
      const { code, retryAfterMs } = error instanceof RinghallError ? error : { code: "INTERNAL", retryAfterMs: 0 };
      // Said again when the WebSocket is back.
      if (code === "OFFLINE") return;
      const { purpose } = this.#pending;
      if (purpose === "restart") {
        // The server does not know this connection any more: only a new one helps.
        this.#healing = RESTARTS;
        this.#heal();
      } else if (purpose === "grow") {
        // What is there goes on as it is, with fewer pictures than there might be.
        this.#mostCameras = this.#link?.slots.filter(({ kind }) => kind === "camera").length ?? 0;
        this.#pending = null;
        await this.#link?.takeBack();
      } else if (code === "UNAVAILABLE" || code === "RATE_LIMITED" || code === "TIMEOUT") {
        this.#cancelHeal?.();
        this.#cancelHeal = this.options.clock.after(Math.max(retryAfterMs, 1_000), () => this.#build());
      } else if (error instanceof RinghallError) this.options.onRefused(error);
    }
  }

  #linkState(state: LinkState): void {
    if (this.#ended) return;
    if (state === "connected") {
      this.#watch ??= new PathWatch(
        this.options.clock,
        () => this.#sample(),
        (alive) => (alive ? this.#alive() : this.#silent()),
      );
      // A new connection is told anew: the server forgets what it knew of the former one.
      this.#limits ??= new LimitWatch(
        this.options.clock,
        () => this.#link?.limits() ?? Promise.resolve(new Map()),
        (source, cpu) => this.#limited(source, cpu),
      );
      this.#alive();
    } else if (state === "disconnected") this.#silent();
    else if (state === "failed") {
      this.#lost();
      this.#build();
      this.#healing = RESTARTS;
      this.#later(REBUILD_MS);
    }
  }

  async #sample(): Promise<number> {
    const link = this.#link;
    if (!link) return 0;
    const activity = await link.activity();
    if (link === this.#link) this.#flow.note(this.options.clock.now(), link.received);
    return activity;
  }

  /**
   * A path that is back may still carry pictures and no sound. What flowed before and is to flow now has to flow, or the
   * connection is made anew in the same seat.
   */
  async #verifyLater(): Promise<void> {
    const { clock } = this.options;
    const link = this.#link;
    this.#cancelVerify?.();
    // What came since the last look came before.
    await this.#sample().catch(ignoreClosed);
    if (this.#ended || link !== this.#link) return;
    const healed = clock.now();
    this.#cancelVerify?.();
    this.#cancelVerify = clock.after(VERIFY_MS, async () => {
      await this.#sample().catch(ignoreClosed);
      // One that is still silent is being healed, and looked at after that.
      if (this.#ended || link !== this.#link || !link || this.#cancelHeal) return;
      const expected = this.options.expected();
      const flowed = (this.#flowed ?? []).filter((mid) => expected.has(mid));
      this.#flowed = null;
      if (!this.#flow.isMissing(flowed, healed, link.slots)) return;
      this.#healing = RESTARTS;
      this.#heal();
    });
  }

  #alive(): void {
    this.#healing = 0;
    this.#cancelHeal?.();
    this.#cancelHeal = null;
    this.#cancelShow?.();
    this.#cancelShow = null;
    if (!this.#up) {
      this.#up = true;
      this.options.onState(true);
    }
  }

  #silent(): void {
    this.#cancelShow ??= this.options.clock.after(SHOW_LOST_MS, () => this.#lost());
    if (!this.#cancelHeal) this.#heal();
  }

  #lost(): void {
    this.#cancelShow?.();
    this.#cancelShow = null;
    if (!this.#up) return;
    this.#up = false;
    this.options.onState(false);
  }

  /** The next step against a dead path: a restart first, then a new connection in the same seat. */
  #heal(): void {
    if (this.#ended) return;
    this.options.onSilent();
    this.#healing += 1;
    if (this.#healing <= RESTARTS) {
      this.#restart();
      this.#later(HEAL_MS);
    } else {
      this.#lost();
      this.#build();
      this.#later(REBUILD_MS);
    }
  }

  #later(ms: number): void {
    this.#cancelHeal?.();
    this.#cancelHeal = this.options.clock.after(ms, () => this.#heal());
  }

  #limited(source: MediaSource, cpu: boolean): void {
    this.options.onLimited(source, cpu);
    this.options.send({ op: "limited", d: { callId: this.options.callId, source, cpu } }).catch(() => {
      // It is a hint; what was not heard is said when it changes.
    });
  }

  #sendIntents(): void {
    this.#cancelIntents?.();
    this.#cancelIntents = null;
    if (this.#ended || !this.#answered || !this.#link) return;
    const { assignment, intents } = assignSlots(this.#assignment, this.#wanted, this.#link.slots);
    this.#assignment = assignment;
    this.#grow();
    const text = JSON.stringify(intents);
    if (text === this.#told) return;
    this.#told = text;
    this.options.send({ op: "intents", d: { callId: this.options.callId, slots: intents } }).catch(() => {
      // Lost with the connection: reconnected() says them again.
    });
  }
}

/** A connection that is closed meanwhile refuses what was still to be set; nothing is left to do for it. */
function ignoreClosed(): void {}
