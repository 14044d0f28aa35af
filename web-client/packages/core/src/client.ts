import { CallSession } from "./call/session.ts";
import type { Clock } from "./clock.ts";
import { Connection, type ConnectionState, type StopReason } from "./connection.ts";
import { Emitter } from "./emitter.ts";
import { RinghallError } from "./errors.ts";
import type { Devices } from "./media/devices.ts";
import type { OpenLink } from "./media/link.ts";
import type {
  CallType,
  Chat,
  Command,
  EventBody,
  IceServer,
  JoinCallResult,
  Limits,
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
  #limits: Limits | null = null;
  #ringTimers = new Map<string, () => void>();
  #welcomes = 0;
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
    this.connection.on("welcome", ({ user, ice, limits }) => {
      this.#ice = ice;
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
    this.connection.close();
    for (const cancel of this.#ringTimers.values()) cancel();
  }

  /** Rings a chat. `devices` says what is switched on at first; a video call's camera by default. */
  async startCall(chat: Chat, type: CallType): Promise<Started> {
    const leave = this.#leaveCurrent();
    return this.#entry(async () => {
      const result = await this.connection.send<StartCallResult>({
        op: "start_call",
        d: { chatId: chat.id, type, ...leave },
      });
      if (result.outcome === "exists") return { outcome: "exists", callId: result.callId };
      const call = this.#take(result.callId, chat.id, type, true);
      call.start({ mic: true, camera: type === "video" });
      return { outcome: "created", call };
    });
  }

  acceptCall(callId: string, options: { camera: boolean }): Promise<CallSession> {
    const ring = this.#state.incoming.find((known) => known.callId === callId);
    // Silence at once: the answer may take a while on a bad network, the ring must not.
    this.#set(withoutRing(this.#state, callId));
    if (!ring) return Promise.reject(new RinghallError("GONE", "That call does not ring any more."));
    return this.#enter("accept_call", callId, ring.chatId, ring.type, options);
  }

  joinCall(chat: Chat, options: { camera: boolean; takeover?: boolean }): Promise<CallSession> {
    const active = chat.activeCall;
    if (!active) return Promise.reject(new RinghallError("GONE", "There is no call in this chat."));
    this.#set(withoutRing(this.#state, active.callId));
    return this.#enter("join_call", active.callId, chat.id, active.type, options);
  }

  async rejectCall(callId: string, reason: RejectReason = "declined"): Promise<void> {
    this.#set(withoutRing(this.#state, callId));
    await this.connection.send({ op: "reject_call", d: { callId, reason } });
  }

  /** Any command of the protocol, as it is; for what this class has no method for. */
  request<T = unknown>(op: Command["op"], d: Command["d"]): Promise<T> {
    return this.connection.send<T>({ op, d } as Command);
  }

  sendMessage(chatId: string, content: string): Promise<Message> {
    return this.connection.send<Message>({ op: "send_message", d: { chatId, content } });
  }

  markRead(chatId: string): void {
    const before = this.#state;
    this.#set(withRead(before, chatId));
    if (before === this.#state) return;
    this.connection.send({ op: "mark_read", d: { chatId } }).catch(() => {
      // Read again when the chat is opened next.
    });
  }

  async #enter(
    op: "accept_call" | "join_call",
    callId: string,
    chatId: string,
    type: CallType,
    { camera, takeover = false }: { camera: boolean; takeover?: boolean },
  ): Promise<CallSession> {
    const leave = this.#leaveCurrent();
    return this.#entry(async () => {
      const result = await this.connection.send<JoinCallResult>({
        op,
        d: { callId, ...(takeover && { takeover }), ...leave },
      });
      if (result.status !== "ringing" && result.status !== "ongoing") {
        throw new RinghallError("GONE", "The call is over.");
      }
      const call = this.#take(callId, chatId, type, false);
      call.start({ mic: true, camera });
      return call;
    });
  }

  /** Keeps what the server says of a call before it answers the command that enters it; the roster comes that early. */
  async #entry<T>(enter: () => Promise<T>): Promise<T> {
    this.#entering += 1;
    try {
      return await enter();
    } finally {
      this.#entering -= 1;
      if (this.#entering === 0) this.#early = [];
    }
  }

  /** Gives something to the call it is about. */
  #route(callId: string, hand: (call: CallSession) => void): void {
    if (this.#call?.callId === callId) hand(this.#call);
    else if (this.#entering > 0) this.#early.push({ callId, hand });
  }

  /** One seat per person: entering another call leaves this one, in the same transaction on the server. */
  #leaveCurrent(): { leave?: string } {
    const current = this.#call;
    if (!current) return {};
    current.finish({ how: "left" });
    return { leave: current.callId };
  }

  #take(callId: string, chatId: string, type: CallType, outgoing: boolean): CallSession {
    this.#call?.finish({ how: "left" });
    const { clock, devices, openLink } = this.#options;
    const call = new CallSession({
      callId,
      chatId,
      type,
      outgoing,
      me: this.#state.me?.id ?? "",
      device: this.device,
      clock,
      devices,
      openLink,
      ice: () => this.#ice,
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
    this.emit("state", state);
  }
}
