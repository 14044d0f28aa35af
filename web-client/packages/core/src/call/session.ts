import type { Clock } from "../clock.ts";
import { Emitter } from "../emitter.ts";
import { type DeviceProblem, RinghallError } from "../errors.ts";
import type { DataMessage } from "../media/data.ts";
import type { Devices } from "../media/devices.ts";
import type { OpenLink, Slot } from "../media/link.ts";
import type { WantedTile } from "../media/slots.ts";
import type {
  CallType,
  Command,
  EventBody,
  IceServer,
  JoinCallResult,
  MediaSource,
  RealtimeBody,
  User,
  UserId,
} from "../protocol/index.ts";
import type { EarlyLink } from "./early.ts";
import { LocalMedia } from "./local.ts";
import { CallMedia } from "./media.ts";
import { type CallEnd, type CallInput, newCall, phaseOf, step } from "./model.ts";
import { Moderation } from "./moderation.ts";
import { type CallView, expectedMids, GOOD, newView, reduceRoom } from "./view.ts";

export interface CallSessionEvents {
  change: CallView;
  /** The slots' streams are others than before. */
  slots: readonly Slot[];
  problem: { source: MediaSource; problem: DeviceProblem };
  reaction: { userId: UserId; emoji: string };
  mutedByModerator: { by: User; muted: boolean };
  /** A message of another participant. */
  data: DataMessage;
  /** The server has not passed a message on, or has closed the reliable channel; the code and the text say why. */
  dataRefused: RinghallError;
  refused: RinghallError;
  ended: CallEnd;
}

export interface CallSessionOptions {
  callId: string;
  chatId: string;
  type: CallType;
  outgoing: boolean;
  me: UserId;
  device: string;
  clock: Clock;
  devices: Devices;
  openLink: OpenLink;
  ice: () => readonly IceServer[];
  /** Nothing of the media comes any more; what else goes over that network may be dead too. */
  onSilent?: () => void;
  send: <T>(command: Command, options?: { keep: boolean }) => Promise<T>;
}

/** This tab's part in one call. Owns its timers, tracks and connection, and ends them together. */
export class CallSession extends Emitter<CallSessionEvents> {
  readonly callId: string;
  readonly local: LocalMedia;
  readonly media: CallMedia;
  /** What may be done to others here. */
  readonly moderation: Moderation;
  #options: CallSessionOptions;
  #model;
  #view: CallView;

  constructor(options: CallSessionOptions) {
    super();
    this.#options = options;
    this.callId = options.callId;
    this.#model = newCall(options.outgoing);
    this.#view = newView(options, this.#model);
    this.moderation = new Moderation(options.callId, (command) => options.send(command));
    this.local = new LocalMedia(options.devices, {
      onTrack: (source, track) => this.media.setTrack(source, track),
      announce: (source, on) => void this.#announce(source, on),
      onChange: () => this.#localChanged(),
      onProblem: (source, problem) => {
        this.#patch({ problems: { ...this.#view.problems, [source]: problem } });
        this.emit("problem", { source, problem });
      },
    });
    this.media = new CallMedia({
      callId: options.callId,
      clock: options.clock,
      openLink: options.openLink,
      ice: options.ice,
      onSilent: () => options.onSilent?.(),
      send: (command) => options.send(command, { keep: false }),
      tracks: () => this.local.tracks(),
      expected: () => expectedMids(this.#view),
      onState: (up) => this.#step({ type: "media", up }),
      onNew: () => this.#patch({ quality: GOOD, limited: [] }),
      onLimited: (source, cpu) => {
        const others = this.#view.limited.filter((other) => other !== source);
        this.#patch({ limited: cpu ? [...others, source] : others });
      },
      onSlots: (slots) => this.emit("slots", slots),
      onData: (event) => {
        if ("message" in event) this.emit("data", event.message);
        else this.emit("dataRefused", event.refused);
      },
      onRefused: (error) => this.emit("refused", error),
    });
  }

  get view(): CallView {
    return this.#view;
  }

  /** The seat is ours: connects media, and opens the devices meanwhile. Without any device one still hears and sees. */
  start({ mic, camera }: { mic: boolean; camera: boolean }, early?: EarlyLink): void {
    this.media.start(early);
    if (mic) void this.local.setMic(true);
    else void this.#announce("mic", false);
    if (camera) void this.local.setCamera(true);
  }

  /** The picture or sound that a participant's source has in this page, if a slot carries it. */
  stream(userId: UserId, source: MediaSource): MediaStream | null {
    if (userId === this.#options.me) return this.local.stream(source);
    const binding = this.#view.bindings.find((slot) => slot.userId === userId && slot.source === source);
    return this.media.link?.slots.find((slot) => slot.mid === binding?.mid)?.stream ?? null;
  }

  want(tiles: readonly WantedTile[]): void {
    this.media.want(tiles);
  }

  /** Leaves; ends here at once, whatever the network does. In a direct chat that ends the call. */
  leave(): void {
    if (this.#model.end) return;
    this.#tell({ op: "leave_call", d: { callId: this.callId } });
    this.finish({ how: "left" });
  }

  /** Ends it for everybody: a moderator's command, or the starter's while it rings. */
  endForAll(): void {
    if (this.#model.end) return;
    this.#tell({ op: "end_call", d: { callId: this.callId } });
    this.finish({ how: "left" });
  }

  /** The WebSocket is back. The server is told that the seat is still wanted, and says if the call went on without us. */
  async reconnected(): Promise<void> {
    if (this.#model.end) return;
    // Both at once: the server takes them in this order, so a call that is over is known before its offer is refused.
    const joined = this.#options.send<JoinCallResult>({ op: "join_call", d: { callId: this.callId } });
    this.media.reconnected();
    try {
      const { outcome, status } = await joined;
      if (outcome === "noop" && status !== "ringing" && status !== "ongoing") {
        return this.finish({ how: "over", status });
      }
    } catch (error) {
      if (error instanceof RinghallError && ["GONE", "NOT_FOUND"].includes(error.code)) {
        return this.finish({ how: "over" });
      }
      if (error instanceof RinghallError && error.code === "ANSWERED_ELSEWHERE") return this.finish({ how: "moved" });
      if (error instanceof RinghallError && error.code === "KICKED") return this.finish({ how: "kicked" });
    }
    if (!this.#model.end) this.local.announceAll();
  }

  handleEvent(event: EventBody): void {
    if (event.op === "call_accepted" && event.d.userId !== this.#options.me) this.#answered();
    else if (event.op === "call_ended") {
      const { status, reason, duration, endedBy, userName } = event.d;
      const by = endedBy ? { by: { id: endedBy, name: userName ?? "" } } : {};
      this.finish({ how: "over", status, reason, duration, ...by });
    } else if (event.op === "kicked") this.finish({ how: "kicked", by: event.d.by });
    else if (event.op === "seat_moved" && event.d.device !== this.#options.device) this.finish({ how: "moved" });
  }

  handleRealtime(event: RealtimeBody): void {
    if (this.#model.end) return;
    const change = reduceRoom(this.#view, event, this.#options.me, this.#options.clock.now());
    if (change) this.#patch(change);
    switch (event.op) {
      case "media_answer":
        void this.media.answer(event.d);
        break;
      case "roster":
        if (event.d.status === "ongoing") this.#answered(event.d.startedAt);
        break;
      case "call_participant_joined":
        if (event.d.userId !== this.#options.me) this.#answered();
        break;
      case "call_ringing":
        this.#step({ type: "rung" });
        break;
      case "layers":
        this.media.setLayers(event.d.source, event.d.active, event.d.codec);
        break;
      case "muted":
        if (event.d.muted) this.local.forceOff(event.d.source);
        this.emit("mutedByModerator", { by: event.d.by, muted: event.d.muted });
        break;
      case "reaction":
        this.emit("reaction", { userId: event.d.userId, emoji: event.d.emoji });
        break;
    }
  }

  /** Raises or lowers this person's hand; its place in the order comes from the server. */
  async raiseHand(up: boolean): Promise<void> {
    await this.#options.send({ op: up ? "raise_hand" : "lower_hand", d: { callId: this.callId } });
  }

  /** Alone here, and staying: the call does not end by itself for now. */
  async stay(): Promise<void> {
    await this.#options.send({ op: "stay", d: { callId: this.callId } });
    this.#patch({ aloneUntil: null });
  }

  /** Shows one emoji to everybody for a moment. */
  async react(emoji: string): Promise<void> {
    await this.#options.send({ op: "reaction", d: { callId: this.callId, emoji } }, { keep: false });
  }

  /**
   * Sends a message to everybody in the call; the topic tells the receivers what it is about. `reliable: false`: it is not
   * repeated when it is lost, and the server drops old ones for those who are slow (pointers, positions).
   * @throws RinghallError see {@link DataPort.send}.
   */
  sendData(topic: string, payload: Uint8Array | string, { reliable = true }: { reliable?: boolean } = {}): void {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const link = this.media.link;
    if (!link) throw new RinghallError("OFFLINE", "There is no connection.");
    link.data.send(topic, bytes, reliable);
  }

  /** Ends this tab's part: tracks stop and the connection closes before this returns. */
  finish(end: CallEnd): void {
    if (this.#model.end) return;
    this.local.end();
    this.media.end();
    this.#step({ type: "ended", end });
    this.emit("ended", end);
  }

  async #announce(source: MediaSource, on: boolean): Promise<void> {
    if (this.#model.end) return;
    try {
      await this.#options.send({ op: on ? "unmute" : "mute", d: { callId: this.callId, source } });
    } catch (error) {
      // A moderator's mute stands: what the page shows must be what the others hear.
      if (on && !this.#model.end && error instanceof RinghallError && error.code === "FORBIDDEN") {
        this.local.forceOff(source);
        this.emit("refused", error);
      }
    }
  }

  #tell(command: Command): void {
    this.#options.send(command).catch(() => {
      // The server ends an abandoned seat by its own deadline.
    });
  }

  #answered(startedAt: string | null = null): void {
    if (this.#view.talkingSince === null) {
      const started = startedAt ? Date.parse(startedAt) : Number.NaN;
      // A server clock ahead of ours must not show a negative duration.
      this.#patch({ talkingSince: Number.isNaN(started) ? Date.now() : Math.min(started, Date.now()) });
    }
    this.#step({ type: "answered" });
  }

  #localChanged(): void {
    if (this.#model.end) return;
    const problems = { ...this.#view.problems };
    const [mic, camera, screen] = [this.local.isOn("mic"), this.local.isOn("camera"), this.local.isOn("screen")];
    if (mic) delete problems.mic;
    if (camera) delete problems.camera;
    if (screen) delete problems.screen;
    this.#patch({ mic, camera, screen, problems });
  }

  #step(input: CallInput): void {
    const next = step(this.#model, input);
    if (next === this.#model) return;
    this.#model = next;
    this.#patch({ phase: phaseOf(next), end: next.end });
  }

  #patch(change: Partial<CallView>): void {
    this.#view = { ...this.#view, ...change };
    this.emit("change", this.#view);
  }
}
