import { beforeEach, describe, expect, test, vi } from "vitest";
import { RinghallError } from "../errors.ts";
import type { RosterEntry } from "../protocol/index.ts";
import { fakeCall, OneCall, person } from "../testing/fake-call.ts";
import { settle } from "../testing/fake-clock.ts";
import { raisedHands } from "./view.ts";

vi.stubGlobal("MediaStream", class {});

let call: OneCall;

beforeEach(() => {
  call = new OneCall();
});

const over = { callId: "call", chatId: "chat", status: "ended", reason: "hangup", timestamp: "" } as const;

describe("joining", () => {
  test("offers once, with what each mid is for, and takes only the answer to it", async () => {
    call.session.start({ mic: false, camera: false });
    await settle();
    expect(call.offer()).toMatchObject({ callId: "call", sdp: "offer", mids: { "0": "mic", "1": "camera" } });
    call.answer("somebody else's");
    await settle();
    expect(call.links.last.answers).toEqual([]);
    call.answer(call.offer()["offerId"]);
    await settle();
    expect(call.links.last.answers).toEqual([{ sdp: "answer" }]);
    expect(call.ops("media_offer")).toHaveLength(1);
  });

  test("sends and announces the devices that are on", async () => {
    await call.connected();
    expect(call.links.last.sent.get("mic")).toBe(call.devices.tracks.find(({ kind }) => kind === "mic"));
    expect(call.ops("unmute").map(({ source }) => source)).toEqual(["mic", "camera"]);
    expect(call.session.view).toMatchObject({ phase: "connected", mic: true, camera: true });
  });

  test("works without any device, and says which is missing", async () => {
    call.devices.missing.add("mic").add("camera");
    await call.connected();
    expect(call.session.view).toMatchObject({ phase: "connected", mic: false, camera: false });
    expect(call.session.view.problems).toEqual({ mic: "missing", camera: "missing" });
  });

  test("an answer that the browser does not take is told once, not asked for again and again", async () => {
    const refused: string[] = [];
    call.session.on("refused", ({ code }) => refused.push(code));
    call.session.start({ mic: false, camera: false });
    await settle();
    call.links.last.accept = () => Promise.reject(new Error("no usable codec"));
    call.answer(call.offer()["offerId"]);
    await call.clock.advance(10_000);
    expect(refused).toEqual(["SDP_REJECTED"]);
    expect(call.ops("media_offer")).toHaveLength(1);
  });

  test("a server that cannot take the offer now is asked again", async () => {
    call.refuse = ({ op }) => (op === "media_offer" && call.ops("media_offer").length === 1 ? unavailable() : null);
    call.session.start({ mic: false, camera: false });
    await call.clock.advance(2_000);
    expect(call.ops("media_offer")).toHaveLength(2);
  });
});

describe("own devices", () => {
  test("muting keeps the microphone and says so; unmuting needs no new one", async () => {
    await call.connected();
    call.sent = [];
    await call.session.local.setMic(false);
    await call.session.local.setMic(true);
    expect(call.sent.map(({ op }) => op)).toEqual(["mute", "unmute"]);
    expect(call.devices.tracks.filter(({ kind }) => kind === "mic")).toHaveLength(1);
  });

  test("switching the camera off lets it go", async () => {
    await call.connected();
    await call.session.local.setCamera(false);
    expect(call.devices.tracks.find(({ kind }) => kind === "camera")?.readyState).toBe("ended");
    expect(call.links.last.sent.get("camera")).toBeNull();
    expect(call.session.view.camera).toBe(false);
  });

  test("a camera that arrives after it was switched off again is let go", async () => {
    const on = call.session.local.setCamera(true);
    await call.session.local.setCamera(false);
    await on;
    expect(call.devices.tracks.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(call.session.view.camera).toBe(false);
  });

  test("stopping a share in the browser's own bar ends it for the others", async () => {
    await call.session.local.setScreen(true);
    call.sent = [];
    call.devices.tracks[0]?.dispatchEvent(new Event("ended"));
    expect(call.session.view.screen).toBe(false);
    expect(call.ops("mute")).toEqual([{ callId: "call", source: "screen" }]);
  });

  test("a moderator's mute is taken over without telling the server what it knows", async () => {
    await call.connected();
    call.sent = [];
    const by = { id: "boss", name: "Boss", avatar: null };
    call.session.handleRealtime({ op: "muted", d: { callId: "call", source: "mic", muted: true, by } });
    expect(call.session.view).toMatchObject({ mic: false, mutedBy: "boss" });
    expect(call.sent).toEqual([]);
  });
});

describe("ending", () => {
  test("call_ended stops every track, timer and connection at once", async () => {
    await call.connected();
    call.session.handleEvent({ op: "call_ended", d: { ...over, endedBy: "other", userName: "Other", duration: 61 } });
    expect(call.session.view.phase).toBe("ended");
    expect(call.session.view.end).toMatchObject({ how: "over", duration: 61, by: { name: "Other" } });
    expect(call.links.last.closed).toBe(true);
    expect(call.devices.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
    expect(call.clock.pending).toBe(0);
  });

  test("a seat that moved to another tab ends it here, one that moved here does not", () => {
    call.session.handleEvent({ op: "seat_moved", d: { callId: "call", device: "tab" } });
    expect(call.session.view.phase).not.toBe("ended");
    call.session.handleEvent({ op: "seat_moved", d: { callId: "call", device: "other tab" } });
    expect(call.session.view.end?.how).toBe("moved");
  });

  test("leaving is told once", () => {
    call.session.leave();
    call.session.leave();
    expect(call.ops("leave_call")).toHaveLength(1);
  });

  test("a device that opens after the end is let go", async () => {
    call.session.start({ mic: true, camera: true });
    call.session.leave();
    await settle();
    expect(call.devices.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
  });

  test("back after the call was over, the page learns it", async () => {
    const session = fakeCall({ send: async <T>() => ({ outcome: "noop", status: "ended" }) as T });
    await session.reconnected();
    expect(session.view.end).toMatchObject({ how: "over", status: "ended" });
  });
});

describe("people", () => {
  test("an answer makes a caller's call connected, and starts its clock", async () => {
    call = new OneCall(true);
    await call.connected();
    expect(call.session.view).toMatchObject({ phase: "calling", talkingSince: null });
    call.session.handleRealtime({
      op: "call_ringing",
      d: { callId: "call", userId: "b", userName: "B", timestamp: "" },
    });
    expect(call.session.view.phase).toBe("ringing");
    call.session.handleEvent({ op: "call_accepted", d: { callId: "call", userId: "b", userName: "B", timestamp: "" } });
    expect(call.session.view.phase).toBe("connected");
    expect(call.session.view.talkingSince).not.toBeNull();
  });

  test("keep their order over a new roster", () => {
    const roster = (...participants: RosterEntry[]) =>
      call.session.handleRealtime({
        op: "roster",
        d: {
          callId: "call",
          chatId: "chat",
          status: "ongoing",
          type: "video",
          startedAt: null,
          locked: false,
          participants,
        },
      });
    roster(person("a"), person("b"));
    roster(person("c"), person("b"), person("a"));
    expect(call.session.view.participants.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  test("the first wish is told at once, later ones when things are calm", async () => {
    await call.connected();
    call.session.want([{ userId: "a", source: "camera", height: 100 }]);
    expect(call.ops("intents").at(-1)?.["slots"]).toMatchObject([{ mid: "5", participant: "a", height: 100 }]);
    const told = call.ops("intents").length;
    call.session.want([{ userId: "a", source: "camera", height: 200 }]);
    call.session.want([{ userId: "a", source: "camera", height: 360.4 }]);
    await call.clock.advance(100);
    call.session.want([{ userId: "a", source: "camera", height: 360.4 }]);
    await call.clock.advance(1_000);
    expect(call.ops("intents")).toHaveLength(told + 1);
    expect(call.ops("intents").at(-1)?.["slots"]).toEqual([
      { mid: "5", participant: "a", source: "camera", height: 360, fps: 0, priority: 0 },
    ]);
  });

  test("being alone is over when somebody comes", () => {
    call.session.handleRealtime({ op: "call_alone", d: { callId: "call", endsInMs: 180_000 } });
    expect(call.session.view.aloneUntil).toBe(180_000);
    call.joined(person("me"));
    expect(call.session.view.aloneUntil).toBe(180_000);
    call.joined(person("b"));
    expect(call.session.view.aloneUntil).toBeNull();
  });

  test("staying is told, and the question goes away", async () => {
    call.session.handleRealtime({ op: "call_alone", d: { callId: "call", endsInMs: 180_000 } });
    await call.session.stay();
    expect(call.ops("stay")).toEqual([{ callId: "call" }]);
    expect(call.session.view.aloneUntil).toBeNull();
  });

  test("a moderator sees who waits, and everybody that it is locked", () => {
    const by = { id: "boss", name: "Boss", avatar: null };
    call.session.handleRealtime({ op: "call_locked", d: { callId: "call", locked: true, by } });
    const waiter = { ...by, guest: true, since: "" };
    call.session.handleRealtime({ op: "waiting_list", d: { callId: "call", waiting: [waiter] } });
    expect(call.session.view).toMatchObject({ locked: true, waiting: [{ id: "boss", guest: true }] });
  });

  test("hands are in the order in which they went up, and one's own is known", () => {
    call.joined({ ...person("b"), hand: 2 });
    call.joined({ ...person("me"), hand: 1, moderator: true });
    call.joined(person("c"));
    expect(raisedHands(call.session.view.participants).map(({ id }) => id)).toEqual(["me", "b"]);
    expect(call.session.view).toMatchObject({ hand: 1, moderator: true });
  });
});

describe("a pool that is too small", () => {
  const crowd = (n: number) =>
    call.session.want(
      Array.from({ length: n }, (_, i) => ({ userId: `u${i}`, source: "camera" as const, height: 90 })),
    );

  test("grows by one offer to the next step, and then asks for everybody", async () => {
    await call.connected();
    crowd(12);
    await settle();
    expect(call.links.all).toHaveLength(1);
    expect(call.links.last.cameras).toBe(16);
    expect(call.ops("media_offer")).toHaveLength(2);
    crowd(14);
    await call.clock.advance(200);
    expect(call.ops("media_offer")).toHaveLength(2);
    call.answer(call.offer()["offerId"]);
    await settle();
    expect(call.ops("intents").at(-1)?.["slots"]).toHaveLength(14);
  });

  test("stays as it is when the server refuses, and nothing else breaks", async () => {
    await call.connected();
    call.refuse = ({ op }) => (op === "media_offer" ? new RinghallError("MEDIA_LIMIT", "enough") : null);
    crowd(12);
    await call.clock.advance(5_000);
    expect(call.links.last.takenBack).toBe(1);
    expect(call.ops("media_offer")).toHaveLength(2);
    crowd(11);
    await call.clock.advance(5_000);
    expect(call.ops("media_offer")).toHaveLength(2);
    expect(call.session.view.phase).toBe("connected");
  });
});

function unavailable(): Error {
  return new RinghallError("UNAVAILABLE", "later", 500);
}
