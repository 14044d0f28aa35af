import type { Limits, ServerFrame, User } from "../protocol/index.ts";
import type { Socket } from "../transport.ts";

interface Hello {
  t: "hello";
  token: string;
  device: string;
  resume?: { session: string; seq: number; epoch: number };
}
interface Req {
  t: "req";
  id: string;
  op: string;
  d: Record<string, unknown>;
}

const limits: Limits = {
  maxParticipants: 100,
  ringMaxMembers: 50,
  ringMs: 30_000,
  maxMessageBytes: 8192,
  videoCodecs: ["vp8"],
};
export const me: User = { id: "me", name: "Me", avatar: null };

/** The other end of one socket. */
export class FakeSocket implements Socket {
  sent: Array<Hello | Req | { t: "pong"; n: number }> = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((text: string) => void) | null = null;
  onclose: ((code: number) => void) | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  receive(frame: ServerFrame): void {
    this.onmessage?.(JSON.stringify(frame));
  }

  open(): void {
    this.onopen?.();
  }

  drop(code = 1006): void {
    this.onclose?.(code);
  }

  welcome({ session = "s1", epoch = 1, seq = 0, replay = null as number | null } = {}): void {
    this.receive({ t: "welcome", session, user: me, epoch, seq, replay, ice: [], relays: [], ways: [], limits });
  }

  get hello(): Hello {
    return this.sent.find((frame) => frame.t === "hello") as Hello;
  }

  requests(op?: string): Req[] {
    return this.sent.filter((frame): frame is Req => frame.t === "req" && (op === undefined || frame.op === op));
  }

  last(op: string): Req {
    const found = this.requests(op).at(-1);
    if (!found) throw new Error(`no ${op} was sent`);
    return found;
  }

  answer(op: string, d: unknown = {}): void {
    this.receive({ t: "res", id: this.last(op).id, ok: true, d });
  }
}

/** Every socket that was opened, oldest first. */
export class FakeServer {
  sockets: FakeSocket[] = [];

  open = (): Socket => {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket;
  };

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  /** Lets the newest socket open and be welcomed. */
  accept(welcome: Parameters<FakeSocket["welcome"]>[0] = {}): FakeSocket {
    this.socket.open();
    this.socket.welcome(welcome);
    return this.socket;
  }
}
