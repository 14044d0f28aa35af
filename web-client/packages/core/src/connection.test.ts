import { beforeEach, describe, expect, test } from "vitest";
import { Connection } from "./connection.ts";
import type { RinghallError } from "./errors.ts";
import { FakeClock, settle } from "./testing/fake-clock.ts";
import { FakeServer } from "./testing/fake-server.ts";

let clock: FakeClock;
let server: FakeServer;
let connection: Connection;
let token: string;
let seen: string[];

beforeEach(() => {
  clock = new FakeClock();
  server = new FakeServer();
  token = "token-1";
  seen = [];
  connection = new Connection({ open: server.open, clock, device: "tab", token: () => token });
  connection.on("event", (event) => seen.push(event.op === "message" ? event.d.id : event.op));
  connection.connect();
});

const message = (seq: number) => ({ t: "ev" as const, seq, op: "message", d: { id: `m${seq}` } });

describe("resume", () => {
  test("the first hello has no resume, the next one says where the last connection ended", async () => {
    server.accept({ session: "s1", epoch: 3, seq: 40 }).receive({ t: "ev", seq: 40, op: "snapshot", d: {} });
    server.socket.receive(message(41));
    expect(server.socket.hello).toMatchObject({ token: "token-1", device: "tab" });
    expect(server.socket.hello.resume).toBeUndefined();
    token = "token-2";
    server.socket.drop();
    await clock.advance(0);
    server.socket.open();
    expect(server.socket.hello).toMatchObject({ token: "token-2", resume: { session: "s1", seq: 41, epoch: 3 } });
  });

  test("a connection that is lost before its snapshot begins anew, not with a replay", async () => {
    server.accept({ session: "s1", epoch: 3, seq: 40 });
    server.socket.drop();
    await clock.advance(0);
    server.socket.open();
    expect(server.socket.hello.resume).toBeUndefined();
  });

  test("a replayed event that was seen is dropped, a new one is not", async () => {
    server.accept();
    server.socket.receive(message(1));
    server.socket.receive(message(2));
    server.socket.receive(message(2));
    server.socket.drop();
    await clock.advance(0);
    server.accept({ replay: 2, seq: 3 });
    server.socket.receive(message(2));
    server.socket.receive(message(3));
    expect(seen).toEqual(["m1", "m2", "m3"]);
  });

  test("a snapshot counts whatever its sequence, and later events count from it", async () => {
    server.accept();
    server.socket.receive(message(900));
    server.socket.drop();
    await clock.advance(0);
    // The database was restored: another epoch, and sequences start lower.
    server.accept({ epoch: 2, seq: 5 }).receive({ t: "ev", seq: 5, op: "snapshot", d: {} });
    server.socket.receive(message(6));
    expect(seen).toEqual(["m900", "snapshot", "m6"]);
  });
});

describe("commands", () => {
  const start = { op: "start_call", d: { chatId: "c", type: "audio" } } as const;

  test("one that was not answered is repeated with the same id, and settles once", async () => {
    server.accept();
    const result = connection.send(start);
    const { id } = server.socket.last("start_call");
    server.socket.drop();
    await clock.advance(0);
    server.accept({ replay: 0 });
    expect(server.socket.last("start_call").id).toBe(id);
    server.socket.answer("start_call", { outcome: "created" });
    server.socket.answer("start_call", { outcome: "other" });
    expect(await result).toEqual({ outcome: "created" });
    server.socket.drop();
    await clock.advance(0);
    server.accept({ replay: 0 });
    expect(server.socket.requests()).toEqual([]);
  });

  test("one made while offline is sent after the welcome, not before", async () => {
    void connection.send(start);
    server.socket.open();
    expect(server.socket.requests()).toEqual([]);
    server.socket.welcome();
    expect(server.socket.requests("start_call")).toHaveLength(1);
  });

  test("a refusal is an error with the server's code and wait", async () => {
    server.accept();
    const result = connection.send(start).catch((error: RinghallError) => error);
    const err = { code: "RATE_LIMITED", message: "slow down", retryAfterMs: 900 } as const;
    server.socket.receive({ t: "res", id: server.socket.last("start_call").id, ok: false, err });
    expect(await result).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 900 });
  });

  test("one that must not be repeated fails with the connection", async () => {
    server.accept();
    const result = connection.send(start, { keep: false }).catch((error: RinghallError) => error.code);
    server.socket.drop();
    expect(await result).toBe("OFFLINE");
    await clock.advance(0);
    server.accept({ replay: 0 });
    expect(server.socket.requests()).toEqual([]);
  });

  test("one that is never answered ends as a timeout", async () => {
    server.accept();
    const result = connection.send(start).catch((error: RinghallError) => error.code);
    await clock.advance(30_000);
    expect(await result).toBe("TIMEOUT");
  });
});

describe("staying connected", () => {
  test("a ping is answered in the message handler, without a timer", () => {
    server.accept();
    server.socket.receive({ t: "ping", n: 7 });
    expect(server.socket.sent.at(-1)).toEqual({ t: "pong", n: 7 });
  });

  test("in a call, silence of more than two pings is a lost connection", async () => {
    server.accept();
    connection.inCall = true;
    await clock.advance(10_000);
    server.socket.receive({ t: "ping", n: 1 });
    await clock.advance(12_000);
    expect(connection.state).toBe("online");
    await clock.advance(1_000);
    expect(server.sockets).toHaveLength(2);
    expect(server.sockets[0]?.closed).toBe(true);
  });

  test("a connect that nothing answers is given up after 3 s, and the next ones are waited for longer", async () => {
    const opened: number[] = [];
    for (let ms = 0; ms < 20_000; ms += 100) {
      if (server.sockets.length > opened.length) opened.push(ms);
      await clock.advance(100);
    }
    const waited = opened.slice(1).map((at, i) => at - (opened[i] ?? 0));
    // 8 s, and the pause before.
    expect(waited.map((ms) => Math.floor(ms / 1_000))).toEqual([3, 6, 9]);
  });

  test("a socket that opens but is never welcomed is given up", async () => {
    server.socket.open();
    await clock.advance(9_000);
    expect(server.sockets.length).toBeGreaterThan(1);
  });

  test("what a given-up socket still says is not heard", async () => {
    server.accept();
    const old = server.socket;
    connection.reconnectNow();
    await clock.advance(0);
    server.accept({ replay: 0 });
    old.receive(message(1));
    old.drop(4401);
    expect(seen).toEqual([]);
    expect(connection.state).toBe("online");
  });

  test("a draining server is not called before the time it named", async () => {
    server.accept();
    server.socket.receive({ t: "rt", op: "server_draining", n: 1, d: { retryAfterMs: 5_000 } });
    server.socket.drop(4503);
    await clock.advance(4_999);
    expect(server.sockets).toHaveLength(1);
    await clock.advance(1);
    expect(server.sockets).toHaveLength(2);
  });

  test.each([
    [4401, "unauthenticated"],
    [4403, "removed"],
    [4409, "replaced"],
  ])("close code %i is final", async (code, reason) => {
    const reasons: string[] = [];
    connection.on("stopped", (why) => reasons.push(why));
    server.accept();
    const failed = connection.send({ op: "ring_ack", d: { callId: "c" } }).catch((error: RinghallError) => error.name);
    server.socket.drop(code);
    await clock.advance(100_000);
    expect(reasons).toEqual([reason]);
    expect(server.sockets).toHaveLength(1);
    expect(await failed).toBe("RinghallError");
    expect(clock.pending).toBe(0);
  });

  test("closing leaves no timer behind", async () => {
    server.accept();
    connection.close();
    await settle();
    expect(clock.pending).toBe(0);
    expect(server.socket.closed).toBe(true);
  });
});

describe("a suspected socket", () => {
  beforeEach(async () => {
    server.accept({ session: "s1", epoch: 1, seq: 0 }).receive({ t: "ev", seq: 0, op: "snapshot", d: {} });
    await clock.advance(1_000);
  });

  test("that stays silent is replaced by the one that was opened beside it, which resumes", async () => {
    const [old] = server.sockets;
    connection.suspect();
    connection.suspect();
    expect(server.sockets).toHaveLength(2);
    expect(old?.closed).toBe(false);
    server.socket.open();
    await clock.advance(200);
    expect(old?.closed).toBe(true);
    expect(server.socket.hello).toMatchObject({ resume: { session: "s1", seq: 0, epoch: 1 } });
    server.socket.welcome({ replay: 0 });
    expect(connection.state).toBe("online");
  });

  test("that says something meanwhile stays", async () => {
    const [old] = server.sockets;
    connection.suspect();
    server.socket.open();
    old?.receive({ t: "ping", n: 1 });
    await clock.advance(200);
    expect(old?.closed).toBe(false);
    expect(server.socket.closed).toBe(true);
    expect(connection.state).toBe("online");
  });

  test("is raced by one after the other while nothing answers", async () => {
    connection.suspect();
    await clock.advance(3_000);
    expect(server.sockets).toHaveLength(3);
    expect(server.sockets[1]?.closed).toBe(true);
    server.sockets[0]?.receive({ t: "ping", n: 1 });
    await clock.advance(3_000);
    expect(server.sockets).toHaveLength(3);
    expect(connection.state).toBe("online");
  });

  test("stays as well when no other can be opened, and nothing is left of the attempt", async () => {
    const pending = clock.pending;
    connection.suspect();
    server.socket.drop();
    expect(connection.state).toBe("online");
    expect(clock.pending).toBe(pending);
  });

  test("is one that says nothing after a command, which the next one carries", async () => {
    const [old] = server.sockets;
    const answer = connection.send({ op: "leave_call", d: { callId: "c" } });
    await clock.advance(1_499);
    expect(server.sockets).toHaveLength(1);
    await clock.advance(1);
    expect(server.sockets).toHaveLength(2);
    server.socket.open();
    await clock.advance(200);
    expect(old?.closed).toBe(true);
    server.socket.welcome({ replay: 0 });
    expect(server.socket.last("leave_call").id).toBe(old?.last("leave_call").id);
    server.socket.answer("leave_call");
    await answer;
    // Once for a command: nothing is opened again for it.
    await clock.advance(5_000);
    expect(server.sockets).toHaveLength(2);
  });

  test("is not one that is slow to answer and says something else, nor one that has answered", async () => {
    connection.send({ op: "ring_ack", d: { callId: "c" } }).catch(() => {});
    server.socket.receive({ t: "ping", n: 1 });
    await clock.advance(2_000);
    const before = clock.pending;
    const answered = connection.send({ op: "mark_read", d: { chatId: "c" } });
    server.socket.answer("mark_read");
    await answered;
    await clock.advance(0);
    expect(clock.pending).toBe(before);
    await clock.advance(2_000);
    expect(server.sockets).toHaveLength(1);
  });

  test("is not waited for when the network changes while it connects", async () => {
    server.socket.drop();
    await clock.advance(0);
    const connecting = server.socket;
    connection.reconnectNow();
    await clock.advance(0);
    expect(connecting.closed).toBe(true);
    expect(server.sockets).toHaveLength(3);
  });
});
