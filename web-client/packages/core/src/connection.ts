import { reconnectDelay } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { Commands } from "./commands.ts";
import { Emitter } from "./emitter.ts";
import { RinghallError } from "./errors.ts";
import {
  CLOSE,
  type Command,
  type Event,
  type EventBody,
  type RealtimeBody,
  type Resume,
  type ServerDraining,
  type ServerFrame,
  type Welcome,
} from "./protocol/index.ts";
import type { OpenSocket, Socket } from "./transport.ts";

/**
 * `connecting` until the first welcome, `online` while welcomed, `waiting` between a loss and the next welcome, and
 * `stopped` for good: closed here, signed out, replaced by the same device, or removed.
 */
export type ConnectionState = "connecting" | "online" | "waiting" | "stopped";

export type StopReason = "closed" | "unauthenticated" | "replaced" | "removed";

export interface ConnectionEvents {
  state: ConnectionState;
  /** Welcomed; on every connection. `fresh`: a snapshot follows, what was known before is void. */
  welcome: Welcome;
  /** A durable event, once each and in order. */
  event: EventBody;
  /** An ephemeral event. */
  realtime: RealtimeBody;
  stopped: StopReason;
}

export interface ConnectionOptions {
  open: OpenSocket;
  clock: Clock;
  device: string;
  /** Asked for at each connect, so that a refreshed token is used. */
  token: () => string;
  lang?: string;
}

// The server pings every 30 s idle and every 5 s in a call, and calls a peer dead after two missed answers. So do we.
const SILENT_IDLE_MS = 75_000;
const SILENT_IN_CALL_MS = 12_500;
// Neither TCP nor TLS tells of a peer that swallows packets: a connect without a welcome is given up. The first one soon, because a
// network that has just come up often swallows what is sent at once; later ones not, because there are slow networks too.
const FIRST_CONNECT_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 8_000;
// The answer to a command takes milliseconds. A socket that says nothing at all for this long after one may be dead.
const UNANSWERED_MS = 1_500;
// A suspected socket has at least this long to say something: more than an answer takes on a good network.
const SUSPICION_MS = 200;

const CLOSE_NORMAL = 1000;

/** One tab's WebSocket: authenticates, answers pings, repeats commands, drops repeated events, resumes and reconnects. */
export class Connection extends Emitter<ConnectionEvents> {
  #options: ConnectionOptions;
  #commands: Commands;
  #socket: Socket | null = null;
  #state: ConnectionState = "connecting";
  #resume: Resume | null = null;
  /** A snapshot was promised and has not come: a replay instead of it would leave out all that it says. */
  #wantsSnapshot = false;
  #failures = 0;
  #lostAt = 0;
  #notBefore = 0;
  #inCall = false;
  #lastFrameAt = 0;
  #frames = 0;
  /** Opened beside a suspected socket, to take its place. */
  #spare: { socket: Socket; cancel: () => void } | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelWatch: (() => void) | null = null;

  constructor(options: ConnectionOptions) {
    super();
    this.#options = options;
    this.#commands = new Commands(options.clock);
    this.#lostAt = options.clock.now();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether a seat in a call depends on this connection; reconnecting and noticing silence are faster then. */
  set inCall(inCall: boolean) {
    this.#inCall = inCall;
    if (this.#state === "online") this.#watch();
  }

  connect(): void {
    if (this.#state !== "stopped" && !this.#socket) this.#open();
  }

  /** The network changed or the page woke up: do not wait for a timer, and do not trust the old socket. */
  reconnectNow(): void {
    if (this.#state === "stopped") return;
    this.#lose();
    this.#failures = 0;
    this.#schedule();
  }

  /**
   * Media has fallen silent, or a command is not answered. The WebSocket may be dead, and TCP tells of it late: another one is
   * opened beside it, which takes its place unless it has said something by then.
   */
  suspect(): void {
    if (this.#state !== "online" || this.#spare) return;
    const { clock } = this.#options;
    const [frames, begun] = [this.#frames, clock.now()];
    const socket = this.#options.open();
    const given = () => {
      this.#dropSpare();
      // A network that is changing swallowed it: the next one, unless the old socket has said something.
      if (this.#frames === frames) this.suspect();
    };
    const spare = { socket, cancel: clock.after(FIRST_CONNECT_TIMEOUT_MS, given) };
    this.#spare = spare;
    socket.onclose = () => {
      if (this.#spare === spare) this.#dropSpare();
    };
    socket.onopen = () => {
      spare.cancel();
      spare.cancel = clock.after(begun + SUSPICION_MS - clock.now(), () => {
        if (this.#frames !== frames || this.#state !== "online") return this.#dropSpare();
        this.#spare = null;
        const old = this.#socket;
        this.#socket = socket;
        this.#offline();
        old?.close(CLOSE_NORMAL);
        this.#listen(socket);
        this.#greet(socket);
      });
    };
  }

  #dropSpare(): void {
    const spare = this.#spare;
    this.#spare = null;
    spare?.cancel();
    spare?.socket.close(CLOSE_NORMAL);
  }

  /**
   * Sends a command and returns its result; a refusal is a {@link RinghallError}. Repeated over reconnects with the
   * same id until answered, unless `keep` is false.
   */
  send<T = unknown>(command: Command, { keep = true } = {}): Promise<T> {
    if (this.#state === "stopped") return Promise.reject(new RinghallError("CLOSED", "The connection is closed."));
    if (!keep && this.#state !== "online") {
      return Promise.reject(new RinghallError("OFFLINE", "There is no connection."));
    }
    const { frame, result } = this.#commands.add(command, keep);
    if (this.#state === "online") {
      this.#socket?.send(frame);
      void this.#expectAnswer(result);
    }
    return result as Promise<T>;
  }

  /**
   * Suspects the socket when it says nothing after a command. Once for a command, when it is sent first: a server that is slow to
   * answer is not to be given a new connection each time.
   */
  async #expectAnswer(result: Promise<unknown>): Promise<void> {
    const [socket, frames] = [this.#socket, this.#frames];
    const cancel = this.#options.clock.after(UNANSWERED_MS, () => {
      if (this.#socket === socket && this.#frames === frames) this.suspect();
    });
    await result.catch(() => {});
    cancel();
  }

  close(): void {
    this.#stop("closed");
  }

  #open(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    const socket = this.#options.open();
    this.#socket = socket;
    socket.onopen = () => this.#greet(socket);
    this.#listen(socket);
  }

  #greet(socket: Socket): void {
    const { device, token, lang } = this.#options;
    const hello = {
      t: "hello",
      token: token(),
      device,
      ...(this.#resume && !this.#wantsSnapshot && { resume: this.#resume }),
      ...(lang && { lang }),
    };
    socket.send(JSON.stringify(hello));
  }

  #listen(socket: Socket): void {
    socket.onmessage = (text) => {
      if (socket === this.#socket) this.#receive(text);
    };
    socket.onclose = (code) => {
      if (socket === this.#socket) this.#closed(code);
    };
    this.#cancelWatch?.();
    const patience = Math.min(CONNECT_TIMEOUT_MS, FIRST_CONNECT_TIMEOUT_MS * 2 ** this.#failures);
    this.#cancelWatch = this.#options.clock.after(patience, () => this.#lose());
  }

  #receive(text: string): void {
    this.#lastFrameAt = this.#options.clock.now();
    this.#frames += 1;
    let frame: ServerFrame;
    try {
      frame = JSON.parse(text) as ServerFrame;
    } catch {
      return;
    }
    switch (frame.t) {
      case "ping":
        this.#socket?.send(JSON.stringify({ t: "pong", n: frame.n }));
        break;
      case "welcome":
        this.#welcomed(frame);
        break;
      case "res":
        this.#commands.answer(frame);
        break;
      case "ev":
        this.#event(frame);
        break;
      case "rt":
        if (frame.op === "server_draining") this.#draining(frame.d as ServerDraining);
        this.emit("realtime", frame as unknown as RealtimeBody);
        break;
    }
  }

  #welcomed(welcome: Welcome): void {
    const resumed = welcome.replay !== null && this.#resume !== null;
    this.#wantsSnapshot = !resumed;
    this.#resume = {
      session: welcome.session,
      epoch: welcome.epoch,
      // Without a replay a snapshot follows, and nothing before it counts.
      seq: resumed && this.#resume ? this.#resume.seq : 0,
    };
    this.#failures = 0;
    this.#setState("online");
    this.#watch();
    for (const frame of this.#commands.repeats()) this.#socket?.send(frame);
    this.emit("welcome", welcome);
  }

  #event(event: Event): void {
    if (!this.#resume) return;
    if (event.op !== "snapshot" && event.seq <= this.#resume.seq) return;
    this.#resume.seq = event.seq;
    if (event.op === "snapshot") this.#wantsSnapshot = false;
    this.emit("event", event as unknown as EventBody);
  }

  #draining({ retryAfterMs }: ServerDraining): void {
    this.#notBefore = this.#options.clock.now() + retryAfterMs;
  }

  /** Gives the socket up without waiting for its close handshake, which a dead path never finishes. */
  #lose(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#closed(0);
    socket.close(CLOSE_NORMAL);
  }

  #closed(code: number): void {
    this.#socket = null;
    this.#cancelWatch?.();
    if (code === CLOSE.auth) return this.#stop("unauthenticated");
    if (code === CLOSE.replaced) return this.#stop("replaced");
    if (code === CLOSE.removed) return this.#stop("removed");
    if (this.#state === "online") this.#offline();
    else this.#failures += 1;
    this.#schedule();
  }

  #offline(): void {
    this.#lostAt = this.#options.clock.now();
    this.#commands.disconnected();
    this.#setState("waiting");
  }

  #schedule(): void {
    if (this.#socket || this.#state === "stopped") return;
    const { clock } = this.#options;
    const now = clock.now();
    const delay = reconnectDelay({
      failures: this.#failures,
      lostForMs: now - this.#lostAt,
      inCall: this.#inCall,
      random: clock.random(),
    });
    this.#cancelRetry?.();
    this.#cancelRetry = clock.after(Math.max(delay, this.#notBefore - now), () => this.#open());
  }

  /** Watches for silence: longer than the server's pings allow means that the path is dead. */
  #watch(): void {
    const { clock } = this.#options;
    const limit = this.#inCall ? SILENT_IN_CALL_MS : SILENT_IDLE_MS;
    this.#cancelWatch?.();
    this.#cancelWatch = clock.after(Math.max(0, this.#lastFrameAt + limit - clock.now()), () => {
      if (clock.now() - this.#lastFrameAt >= limit) this.#lose();
      else this.#watch();
    });
  }

  #stop(reason: StopReason): void {
    if (this.#state === "stopped") return;
    this.#cancelRetry?.();
    this.#cancelWatch?.();
    this.#dropSpare();
    const socket = this.#socket;
    this.#socket = null;
    this.#setState("stopped");
    this.#commands.close(
      new RinghallError(reason === "unauthenticated" ? "UNAUTHENTICATED" : "CLOSED", "The connection is closed."),
    );
    this.emit("stopped", reason);
    socket?.close(CLOSE_NORMAL);
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", state);
  }
}
