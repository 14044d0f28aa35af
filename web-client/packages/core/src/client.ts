import { EarlyDevices, EarlyLink } from "./call/early.ts";
import { CallSession } from "./call/session.ts";
import type { Clock } from "./clock.ts";
import { Connection, type ConnectionState, type StopReason } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { RinghallError } from "./errors.ts";
import type { Devices } from "./media/devices.ts";
import type { OpenLink } from "./media/link.ts";
import { CAMERA_STEPS } from "./media/pool.ts";
import type {
  CallType,
  Chat,
  Command,
  EventBody,
  IceServer,
  IncomingCall,
  JoinCallResult,
  Limits,
  MediaWay,
  Message,
  RealtimeBody,
  RejectReason,
  StartCallResult,
} from "./protocol/index.ts";
import { type ClientState, emptyState, reduceEvent, reduceRealtime, withoutRing, withRead } from "./state.ts";
import type { OpenSocket } from "./transport.ts";

/** The server ends a ring; a page that lost the server must not ring for ever. */
const RING_GRACE_MS = 3_000;

export interface ClientEvents {
  state: ClientState;
  connection: ConnectionState;
  stopped: StopReason;
  /** This tab's call, or null when it has none. */
  call: CallSession | null;
  /** Every durable event, after the state has taken it in. */
  event: EventBody;
  realtime: RealtimeBody;
}

export interface ClientOptions {
  open: OpenSocket;
  clock: Clock;
  device: string;
  token: () => string;
  devices: Devices;
  openLink: OpenLink;
  lang?: string;
}

/** What is switched on when a call is entered; the microphone unless said otherwise. */
export interface MediaChoice {
  mic?: boolean;
  camera: boolean;
}

export interface JoinOptions extends MediaChoice {
  /** Move the seat here from another tab of mine. */
  takeover?: boolean;
  /** Get on the waiting list where there is one, instead of being refused. */
  wait?: boolean;
}

export interface StartOptions extends Partial<MediaChoice> {
  /** Whom to ring; everybody else in the chat when absent. */
  invitees?: string[];
}

type Begin = (callId: string, chatId: string, type: CallType, outgoing: boolean) => CallSession;
type Enter<T> = (begin: Begin) => Promise<T>;

/** What the other side of a start is: a call of ours, or one that is there already and may be joined. */
export type Started = { outcome: "created"; call: CallSession } | { outcome: "exists"; callId: string };

/** A signed-in tab: its connection, what it knows, and at most one call. */
export class RinghallClient extends Emitter<ClientEvents> {
  readonly connection: Connection;
  readonly device: string;
  #options: ClientOptions;
  #state: ClientState = emptyState;
  #call: CallSession | null = null;
  #ice: readonly IceServer[] = [];
  #ways: readonly MediaWay[] = [];
  #limits: Limits | null = null;
  #ringTimers = new Map<string, () => void>();
  #welcomes = 0;
  /** The call that rings here for which an offer is ready. */
  #ready: { callId: string; link: EarlyLink } | null = null;
  /** Commands under way that will put this tab into a call, and what came for that call before their answer did. */
  #entering = 0;
  #early: Array<{ callId: string; hand: (call: CallSession) => void }> = [];

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.device = options.device;
    this.connection = new Connection(options);
    this.connection.on("state", (state) => this.emit("connection", state));
    this.connection.on("event", (event) => this.#event(event));
    this.connection.on("realtime", (event) => this.#realtime(event));
    this.connection.on("welcome", ({ user, ice, ways, limits }) => {
      this.#ice = ice;
      this.#ways = ways ?? [];
      this.#limits = limits;
      this.#set({ ...this.#state, me: user });
      if (this.#welcomes++ > 0) void this.#call?.reconnected();
    });
    this.connection.on("stopped", (reason) => {
      this.#call?.finish({ how: reason === "replaced" ? "moved" : "left" });
      this.#set({ ...this.#state, incoming: [] });
      this.emit("stopped", reason);
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  get call(): CallSession | null {
    return this.#call;
  }

  get limits(): Limits | null {
    return this.#limits;
  }

  connect(): void {
    this.connection.connect();
  }

  /** The network changed, or the computer woke up. */
  networkChanged(): void {
    this.connection.reconnectNow();
    this.#call?.media.networkChanged();
  }

  close(): void {
    this.#call?.leave();
    this.#ready?.link.discard();
    this.#ready = null;
    this.connection.close();
    for (const cancel of this.#ringTimers.values()) cancel();
  }

  /** Rings a chat, or those of its members who are named. */
  startCall(
    chat: Chat,
    type: CallType,
    { invitees, mic = true, camera = type === "video" }: StartOptions = {},
  ): Promise<Started> {
    return this.#entry({ mic, camera }, this.#newLink(), async (begin) => {
      const result = await this.connection.send<StartCallResult>({
        op: "start_call",
        d: { chatId: chat.id, type, ...(invitees && { invitees }), ...this.#leaveCurrent() },
      });
      if (result.outcome === "exists") return { outcome: "exists", callId: result.callId };
      return { outcome: "created", call: begin(result.callId, chat.id, type, true) };
    });
  }

  /**
   * Makes the offer for a call that rings here, so that its first picture comes sooner once it is accepted. Nothing is
   * sent and no device is opened. Only one call is prepared at a time; it ends with the ring.
   */
  prepare(callId: string): void {
    if (this.#ready?.callId === callId || !this.#state.incoming.some((ring) => ring.callId === callId)) return;
    this.#ready?.link.discard();
    this.#ready = { callId, link: this.#newLink() };
  }

  async acceptCall(callId: string, options: MediaChoice): Promise<CallSession> {
    const ring = this.#state.incoming.find((known) => known.callId === callId);
    if (!ring) throw new RinghallError("GONE", "That call does not ring any more.");
    const link = this.#ready?.callId === callId ? this.#ready.link : this.#newLink();
    if (this.#ready?.link === link) this.#ready = null;
    // Silence at once: the answer may take a while on a bad network, the ring must not.
    this.#set(withoutRing(this.#state, callId));
    const call = await this.#enter("accept_call", ring, options, link);
    if (!call) throw new RinghallError("ROOM_LOCKED", "The call was locked while it rang.");
    return call;
  }

  /**
   * Joins the call of a chat. With `wait` a locked call, or a room with a waiting list, gives null: this tab is on the
   * list, `waiting_status` tells what becomes of it, and one who is admitted joins again.
   */
  joinCall(chat: Chat, options: JoinOptions): Promise<CallSession | null> {
    const active = chat.activeCall;
    if (!active) return Promise.reject(new RinghallError("GONE", "There is no call in this chat."));
    this.#set(withoutRing(this.#state, active.callId));
    const { callId, type } = active;
    return this.#enter("join_call", { callId, chatId: chat.id, type }, options, this.#newLink());
  }

  /** Waits no longer to be let into a call. */
  async stopWaiting(callId: string): Promise<void> {
    await this.connection.send({ op: "leave_call", d: { callId } });
  }

  async rejectCall(callId: string, reason: RejectReason = "declined"): Promise<void> {
    this.#set(withoutRing(this.#state, callId));
    await this.connection.send({ op: "reject_call", d: { callId, reason } });
  }

  /** Any command of the protocol, as it is; for what this class has no method for. */
  request<T = unknown>(op: Command["op"], d: Command["d"]): Promise<T> {
    return this.connection.send<T>({ op, d } as Command);
  }

  /** The token was refreshed: the connection outlives the old one. */
  renewToken(): void {
    const { token } = this.#options;
    this.connection.send({ op: "renew_token", d: { token: token() } }, { keep: false }).catch(() => {
      // The next connection says hello with it.
    });
  }

  /** Writes into a chat; with `callId` also to those in that call who are not in the chat. */
  sendMessage(chatId: string, content: string, callId?: string): Promise<Message> {
    return this.connection.send<Message>({ op: "send_message", d: { chatId, content, ...(callId && { callId }) } });
  }

  /** Missed calls were looked at; tells all tabs. */
  markCallsSeen(): void {
    if (this.#state.missedCalls === 0) return;
    this.#set({ ...this.#state, missedCalls: 0 });
    this.connection.send({ op: "mark_calls_seen", d: {} }).catch(() => {
      // Counted again with the next snapshot.
    });
  }

  markRead(chatId: string): void {
    const before = this.#state;
    this.#set(withRead(before, chatId));
    if (before === this.#state) return;
    this.connection.send({ op: "mark_read", d: { chatId } }).catch(() => {
      // Read again when the chat is opened next.
    });
  }

  #enter(
    op: "accept_call" | "join_call",
    { callId, chatId, type }: Pick<IncomingCall, "callId" | "chatId" | "type">,
    { mic = true, camera, takeover = false, wait = false }: JoinOptions,
    link: EarlyLink,
  ): Promise<CallSession | null> {
    return this.#entry({ mic, camera }, link, async (begin) => {
      const result = await this.connection.send<JoinCallResult>({
        op,
        d: { callId, ...(takeover && { takeover }), ...(wait && { wait }), ...this.#leaveCurrent() },
      });
      if (result.outcome === "waiting") return null;
      if (result.status !== "ringing" && result.status !== "ongoing") {
        throw new RinghallError("GONE", "The call is over.");
      }
      return begin(callId, chatId, type, false);
    });
  }

  #newLink(): EarlyLink {
    return new EarlyLink(this.#openLink, this.#ice, CAMERA_STEPS[0]);
  }

  /** For the codecs that the server's calls use, and the network that this page is in. */
  #openLink: OpenLink = (ice, onState, cameras) =>
    this.#options.openLink(ice, onState, cameras, this.#limits?.videoCodecs, this.#ways);

  /**
   * Carries out a command that puts this tab into a call. Devices and offer are being made meanwhile, and are let go
   * when it is refused; what the server says of the call before it answers the command (the roster comes that early) is
   * kept for it.
   */
  async #entry<T>(media: { mic: boolean; camera: boolean }, link: EarlyLink, enter: Enter<T>): Promise<T> {
    const devices = new EarlyDevices(this.#options.devices, media);
    let begun = false;
    this.#entering += 1;
    try {
      return await enter((callId, chatId, type, outgoing) => {
        begun = true;
        const call = this.#take(callId, chatId, type, outgoing, devices);
        call.start(media, link);
        return call;
      });
    } finally {
      if (!begun) {
        link.discard();
        devices.discard();
      }
      this.#entering -= 1;
      if (this.#entering === 0) this.#early = [];
    }
  }

  /** Gives something to the call it is about. */
  #route(callId: string, hand: (call: CallSession) => void): void {
    if (this.#call?.callId === callId) hand(this.#call);
    else if (this.#entering > 0) this.#early.push({ callId, hand });
  }

  /**
   * One seat per person: entering another call leaves this one, in the same transaction on the server. Here it ends only
   * when that has happened: a refused command leaves everything as it was.
   */
  #leaveCurrent(): { leave?: string } {
    return this.#call ? { leave: this.#call.callId } : {};
  }

  #take(callId: string, chatId: string, type: CallType, outgoing: boolean, devices: Devices): CallSession {
    this.#call?.finish({ how: "left" });
    const { clock } = this.#options;
    const call = new CallSession({
      callId,
      chatId,
      type,
      outgoing,
      me: this.#state.me?.id ?? "",
      device: this.device,
      clock,
      devices,
      openLink: this.#openLink,
      ice: () => this.#ice,
      onSilent: () => this.connection.suspect(),
      send: (command, options) => this.connection.send(command, options),
    });
    call.on("ended", () => {
      if (this.#call !== call) return;
      this.#call = null;
      this.connection.inCall = false;
      this.emit("call", null);
    });
    this.#call = call;
    this.connection.inCall = true;
    this.emit("call", call);
    for (const { callId: about, hand } of this.#early) if (about === callId) hand(call);
    return call;
  }

  #event(event: EventBody): void {
    this.#set(reduceEvent(this.#state, event, this.#options.clock.now()));
    if (event.op === "incoming_call") this.#rung(event.d.callId, event.d.ringMsLeft);
    else if (event.op === "snapshot") for (const ring of event.d.incoming) this.#rung(ring.callId, ring.ringMsLeft);
    if ("callId" in event.d) this.#route(event.d.callId, (call) => call.handleEvent(event));
    this.emit("event", event);
  }

  #realtime(event: RealtimeBody): void {
    this.#set(reduceRealtime(this.#state, event));
    if ("callId" in event.d) this.#route(event.d.callId, (call) => call.handleRealtime(event));
    this.emit("realtime", event);
  }

  /** Tells the caller that this device rings, and bounds the ring. */
  #rung(callId: string, ringMsLeft: number): void {
    this.connection.send({ op: "ring_ack", d: { callId } }).catch(() => {
      // The ring goes on without it; the caller keeps seeing "calling".
    });
    this.#ringTimers.get(callId)?.();
    const cancel = this.#options.clock.after(ringMsLeft + RING_GRACE_MS, () => {
      this.#ringTimers.delete(callId);
      this.#set(withoutRing(this.#state, callId));
    });
    this.#ringTimers.set(callId, cancel);
  }

  #set(state: ClientState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const [callId, cancel] of this.#ringTimers) {
      if (state.incoming.some((ring) => ring.callId === callId)) continue;
      cancel();
      this.#ringTimers.delete(callId);
    }
    const ready = this.#ready;
    if (ready && !state.incoming.some((ring) => ring.callId === ready.callId)) {
      this.#ready = null;
      ready.link.discard();
    }
    this.emit("state", state);
  }
}
