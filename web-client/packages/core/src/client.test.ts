import { beforeEach, expect, test, vi } from "vitest";
import { RinghallClient } from "./client.ts";
import type { RinghallError } from "./errors.ts";
import type { ActiveCall, Chat, IncomingCall } from "./protocol/index.ts";
import { FakeClock, settle } from "./testing/fake-clock.ts";
import { FakeDevices, FakeLinks } from "./testing/fake-media.ts";
import { FakeServer, me } from "./testing/fake-server.ts";

vi.stubGlobal("MediaStream", class {});

let clock: FakeClock;
let server: FakeServer;
let client: RinghallClient;
let links: FakeLinks;
let devices: FakeDevices;
let seq: number;

const chat = {
  id: "chat",
  type: "direct",
  name: null,
  members: [],
  lobby: false,
  activeCall: null,
  lastMessage: null,
  unread: 0,
} as Chat;
const ring: IncomingCall = {
  callId: "call",
  chatId: "chat",
  roomName: "r",
  type: "video",
  initiator: { id: "x", name: "X", avatar: null },
  invitedBy: null,
  participants: [me.id],
  timestamp: "",
  ringMsLeft: 30_000,
  silent: false,
};
const active: ActiveCall = {
  callId: "call",
  type: "video",
  status: "ongoing",
  count: 2,
  mine: null,
  myDevice: null,
  initiatedBy: "x",
  locked: false,
  waiting: false,
  createdAt: "",
  startedAt: "",
};
const live: Chat = { ...chat, activeCall: active };
const event = (op: string, d: unknown) => server.socket.receive({ t: "ev", seq: ++seq, op, d });

beforeEach(() => {
  clock = new FakeClock();
  server = new FakeServer();
  seq = 0;
  links = new FakeLinks();
  devices = new FakeDevices();
  client = new RinghallClient({
    open: server.open,
    clock,
    device: "tab",
    token: () => "t",
    devices,
    openLink: links.open,
  });
  client.connect();
  server.accept();
  event("snapshot", { chats: [chat], presence: [], incoming: [] });
});

async function accepted(): Promise<void> {
  event("incoming_call", ring);
  const accepting = client.acceptCall("call", { camera: true });
  server.socket.answer("accept_call", { outcome: "joined", callId: "call", status: "ongoing" });
  await accepting;
}

test("a ring is acknowledged, so that the caller sees it", () => {
  event("incoming_call", ring);
  expect(server.socket.last("ring_ack").d).toEqual({ callId: "call" });
});

test("accepting silences the ring before the server has answered", () => {
  event("incoming_call", ring);
  void client.acceptCall("call", { camera: true });
  expect(client.state.incoming).toEqual([]);
});

test("accepting a call that is over makes no call and says so", async () => {
  event("incoming_call", ring);
  const accepting = client.acceptCall("call", { camera: true }).catch((error: RinghallError) => error.code);
  server.socket.answer("accept_call", { outcome: "noop", callId: "call", status: "cancelled" });
  expect(await accepting).toBe("GONE");
  expect(client.call).toBeNull();
});

test("an accepted call ends with call_ended, and the tab has no call any more", async () => {
  await accepted();
  const session = client.call;
  expect(session?.view.phase).toBe("connecting");
  const d = {
    callId: "call",
    chatId: "chat",
    status: "ended",
    reason: "hangup",
    endedBy: null,
    userName: null,
    duration: 2,
  };
  event("call_ended", { ...d, timestamp: "" });
  expect(client.call).toBeNull();
  expect(session?.view.end).toMatchObject({ how: "over", duration: 2 });
});

test("a roster that comes before the answer to the command is not lost", async () => {
  const starting = client.startCall(chat, "audio");
  const roster = { callId: "new", chatId: "chat", status: "ringing", type: "audio", startedAt: null };
  const participants = [{ id: "x", name: "X", status: "invited" }];
  server.socket.receive({ t: "rt", op: "roster", n: 1, d: { ...roster, participants } });
  server.socket.receive({ t: "rt", op: "roster", n: 2, d: { ...roster, callId: "another", participants: [] } });
  server.socket.answer("start_call", { outcome: "created", callId: "new" });
  await starting;
  expect(client.call?.view.participants.map(({ id }) => id)).toEqual(["x"]);
});

test("starting where a call is live says which, and makes none", async () => {
  const starting = client.startCall(chat, "audio");
  server.socket.answer("start_call", { outcome: "exists", callId: "other", status: "ongoing" });
  expect(await starting).toEqual({ outcome: "exists", callId: "other" });
  expect(client.call).toBeNull();
});

test("entering another call leaves this one in the same command", async () => {
  await accepted();
  event("incoming_call", { ...ring, callId: "second", silent: true });
  void client.acceptCall("second", { camera: false });
  expect(server.socket.last("accept_call").d).toEqual({ callId: "second", leave: "call" });
});

test("a refused way into another call leaves the one that is on as it was", async () => {
  await accepted();
  event("incoming_call", { ...ring, callId: "second", silent: true });
  const accepting = client.acceptCall("second", { camera: false }).catch((error: RinghallError) => error.code);
  server.socket.answer("accept_call", { outcome: "noop", callId: "second", status: "cancelled" });
  expect(await accepting).toBe("GONE");
  expect(client.call?.callId).toBe("call");
  expect(client.call?.view.end).toBeNull();
});

test("an offer that was made while the call rang is the one that is sent", async () => {
  event("incoming_call", ring);
  client.prepare("call");
  client.prepare("call");
  await settle();
  expect(links.all).toHaveLength(1);
  expect(server.socket.requests("media_offer")).toEqual([]);
  expect(devices.tracks).toEqual([]);
  const accepting = client.acceptCall("call", { camera: true });
  expect(devices.tracks.map(({ kind }) => kind)).toEqual(["mic", "camera"]);
  server.socket.answer("accept_call", { outcome: "joined", callId: "call", status: "ongoing" });
  await accepting;
  await settle();
  expect(links.all).toHaveLength(1);
  expect(server.socket.requests("media_offer")).toHaveLength(1);
  expect(links.last.sent.get("camera")).toBe(devices.tracks[1]);
});

test("what was prepared for a ring ends with the ring", async () => {
  event("incoming_call", ring);
  client.prepare("call");
  event("call_answered_elsewhere", { callId: "call", device: "other tab" });
  expect(links.last.closed).toBe(true);
});

test("a refused command lets go of the devices that were opened beside it", async () => {
  const joining = client.joinCall(live, { camera: true }).catch((error: RinghallError) => error.code);
  const { id } = server.socket.last("join_call");
  server.socket.receive({ t: "res", id, ok: false, err: { code: "ROOM_FULL", message: "", retryAfterMs: 0 } });
  expect(await joining).toBe("ROOM_FULL");
  await settle();
  expect(devices.tracks.map(({ readyState }) => readyState)).toEqual(["ended", "ended"]);
  expect(links.last.closed).toBe(true);
});

test("on the waiting list there is no call yet, and nothing is left open", async () => {
  const joining = client.joinCall(live, { camera: true, wait: true });
  expect(server.socket.last("join_call").d).toEqual({ callId: "call", wait: true });
  server.socket.answer("join_call", { outcome: "waiting", callId: "call", status: "ongoing" });
  expect(await joining).toBeNull();
  await settle();
  expect(client.call).toBeNull();
  expect(links.last.closed).toBe(true);
  expect(devices.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
});

test("after a reconnect the seat is claimed again", async () => {
  await accepted();
  server.socket.drop();
  await clock.advance(0);
  server.accept({ replay: 0 });
  expect(server.socket.last("join_call").d).toEqual({ callId: "call" });
  server.socket.answer("join_call", { outcome: "joined", callId: "call", status: "ongoing" });
  await settle();
  expect(client.call?.callId).toBe("call");
});

test("a ring that the server never ends stops by itself soon after its time", async () => {
  event("incoming_call", ring);
  server.socket.receive({ t: "ping", n: 1 });
  await clock.advance(30_000);
  expect(client.state.incoming).toHaveLength(1);
  await clock.advance(5_000);
  expect(client.state.incoming).toEqual([]);
});
