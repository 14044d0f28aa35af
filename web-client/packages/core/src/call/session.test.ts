import { beforeEach, describe, expect, test, vi } from "vitest";
import { RinghallError } from "../errors.ts";
import type { Command, RosterEntry } from "../protocol/index.ts";
import { fakeCall } from "../testing/fake-call.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { FakeDevices, FakeLinks, FakeTrack } from "../testing/fake-media.ts";
import { CallSession } from "./session.ts";
import { raisedHands } from "./view.ts";

vi.stubGlobal("MediaStream", class {});

let clock: FakeClock;
let links: FakeLinks;
let devices: FakeDevices;
let sent: Command[];
let session: CallSession;
let refuse: (command: Command) => Error | null;

function make(outgoing = false): CallSession {
  return fakeCall({
    outgoing,
    clock,
    devices,
    openLink: links.open,
    send: async <T>(command: Command) => {
      sent.push(command);
      const error = refuse(command);
      if (error) throw error;
      return { outcome: "joined", status: "ongoing" } as T;
    },
  });
}

beforeEach(() => {
  clock = new FakeClock();
  links = new FakeLinks();
  devices = new FakeDevices();
  sent = [];
  refuse = () => null;
  session = make();
});

const ops = (op: Command["op"]) =>
  sent.filter((command) => command.op === op).map(({ d }) => d as never as Record<string, unknown>);
const offer = () => ops("media_offer").at(-1) ?? {};
const answer = (offerId: unknown, rest: object = { sdp: "answer" }) =>
  session.handleRealtime({ op: "media_answer", d: { callId: "call", offerId: String(offerId), ...rest } });
const over = { callId: "call", chatId: "chat", status: "ended", reason: "hangup", timestamp: "" } as const;
const person = (id: string, status: RosterEntry["status"] = "joined"): RosterEntry => ({
  id,
  name: id,
  avatar: null,
  status,
  moderator: false,
  hand: null,
  sources: { mic: true, camera: false, screen: false, screenAudio: false, mutedBy: null },
});

async function connected(): Promise<void> {
  session.start({ mic: true, camera: true });
  await settle();
  answer(offer()["offerId"]);
  await settle();
  links.last.become("connected");
}

describe("joining", () => {
  test("offers once, with what each mid is for, and takes only the answer to it", async () => {
    session.start({ mic: false, camera: false });
    await settle();
    expect(offer()).toMatchObject({ callId: "call", sdp: "offer", mids: { "0": "mic", "1": "camera" } });
    answer("somebody else's");
    await settle();
    expect(links.last.answers).toEqual([]);
    answer(offer()["offerId"]);
    await settle();
    expect(links.last.answers).toEqual([{ sdp: "answer" }]);
    expect(ops("media_offer")).toHaveLength(1);
  });

  test("sends and announces the devices that are on", async () => {
    await connected();
    expect(links.last.sent.get("mic")).toBe(devices.tracks.find(({ kind }) => kind === "mic"));
    expect(ops("unmute").map(({ source }) => source)).toEqual(["mic", "camera"]);
    expect(session.view).toMatchObject({ phase: "connected", mic: true, camera: true });
  });

  test("works without any device, and says which is missing", async () => {
    devices.missing.add("mic").add("camera");
    await connected();
    expect(session.view).toMatchObject({ phase: "connected", mic: false, camera: false });
    expect(session.view.problems).toEqual({ mic: "missing", camera: "missing" });
  });

  test("an answer that the browser does not take is told once, not asked for again and again", async () => {
    const refused: string[] = [];
    session.on("refused", ({ code }) => refused.push(code));
    session.start({ mic: false, camera: false });
    await settle();
    links.last.accept = () => Promise.reject(new Error("no usable codec"));
    answer(offer()["offerId"]);
    await clock.advance(10_000);
    expect(refused).toEqual(["SDP_REJECTED"]);
    expect(ops("media_offer")).toHaveLength(1);
  });

  test("a server that cannot take the offer now is asked again", async () => {
    refuse = ({ op }) => (op === "media_offer" && ops("media_offer").length === 1 ? unavailable() : null);
    session.start({ mic: false, camera: false });
    await clock.advance(2_000);
    expect(ops("media_offer")).toHaveLength(2);
  });
});

describe("own devices", () => {
  test("muting keeps the microphone and says so; unmuting needs no new one", async () => {
    await connected();
    sent = [];
    await session.local.setMic(false);
    await session.local.setMic(true);
    expect(sent.map(({ op }) => op)).toEqual(["mute", "unmute"]);
    expect(devices.tracks.filter(({ kind }) => kind === "mic")).toHaveLength(1);
  });

  test("switching the camera off lets it go", async () => {
    await connected();
    await session.local.setCamera(false);
    expect(devices.tracks.find(({ kind }) => kind === "camera")?.readyState).toBe("ended");
    expect(links.last.sent.get("camera")).toBeNull();
    expect(session.view.camera).toBe(false);
  });

  test("a camera that arrives after it was switched off again is let go", async () => {
    const on = session.local.setCamera(true);
    await session.local.setCamera(false);
    await on;
    expect(devices.tracks.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(session.view.camera).toBe(false);
  });

  test("stopping a share in the browser's own bar ends it for the others", async () => {
    await session.local.setScreen(true);
    sent = [];
    devices.tracks[0]?.dispatchEvent(new Event("ended"));
    expect(session.view.screen).toBe(false);
    expect(ops("mute")).toEqual([{ callId: "call", source: "screen" }]);
  });

  test("a moderator's mute is taken over without telling the server what it knows", async () => {
    await connected();
    sent = [];
    const by = { id: "boss", name: "Boss", avatar: null };
    session.handleRealtime({ op: "muted", d: { callId: "call", source: "mic", muted: true, by } });
    expect(session.view).toMatchObject({ mic: false, mutedBy: "boss" });
    expect(sent).toEqual([]);
  });
});

describe("ending", () => {
  test("call_ended stops every track, timer and connection at once", async () => {
    await connected();
    session.handleEvent({ op: "call_ended", d: { ...over, endedBy: "other", userName: "Other", duration: 61 } });
    expect(session.view.phase).toBe("ended");
    expect(session.view.end).toMatchObject({ how: "over", duration: 61, by: { name: "Other" } });
    expect(links.last.closed).toBe(true);
    expect(devices.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("a seat that moved to another tab ends it here, one that moved here does not", () => {
    session.handleEvent({ op: "seat_moved", d: { callId: "call", device: "tab" } });
    expect(session.view.phase).not.toBe("ended");
    session.handleEvent({ op: "seat_moved", d: { callId: "call", device: "other tab" } });
    expect(session.view.end?.how).toBe("moved");
  });

  test("leaving is told once", () => {
    session.leave();
    session.leave();
    expect(ops("leave_call")).toHaveLength(1);
  });

  test("a device that opens after the end is let go", async () => {
    session.start({ mic: true, camera: true });
    session.leave();
    await settle();
    expect(devices.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
  });

  test("back after the call was over, the page learns it", async () => {
    session = new CallSession({ ...optionsOf(), send: async <T>() => ({ outcome: "noop", status: "ended" }) as T });
    await session.reconnected();
    expect(session.view.end).toMatchObject({ how: "over", status: "ended" });
  });
});

describe("a dead path", () => {
  test("is restarted within a second and a half of the last packet, without a word if that heals it", async () => {
    await connected();
    await clock.advance(5_000);
    links.last.dead = true;
    await clock.advance(1_300);
    expect(links.last.restarts).toBe(1);
    expect(offer()).toMatchObject({ ufrag: "u1", pwd: "p" });
    links.last.dead = false;
    await clock.advance(500);
    expect(session.view.phase).toBe("connected");
    expect(links.all).toHaveLength(1);
  });

  test("that stays dead is shown, and then replaced by a new connection with a new offer", async () => {
    await connected();
    await clock.advance(5_000);
    links.last.dead = true;
    await clock.advance(7_000);
    expect(session.view.phase).toBe("reconnecting");
    expect(links.all).toHaveLength(2);
    expect(links.all[0]?.closed).toBe(true);
    expect(links.last.sent.get("mic")).toBeInstanceOf(FakeTrack);
    answer(offer()["offerId"]);
    await settle();
    links.last.become("connected");
    expect(session.view.phase).toBe("connected");
  });

  test("a server that was started anew is found out at once, and gets a new connection", async () => {
    await connected();
    refuse = ({ op, d }) => (op === "media_offer" && "ufrag" in d ? new RinghallError("NOT_FOUND", "who?") : null);
    await session.reconnected();
    await settle();
    expect(links.all).toHaveLength(2);
    expect(offer()).toMatchObject({ sdp: "offer" });
    answer(offer()["offerId"]);
    await settle();
    links.last.become("connected");
    expect(session.view.phase).toBe("connected");
  });

  test("the answer to a restart brings credentials alone", async () => {
    await connected();
    session.media.networkChanged();
    await settle();
    answer(offer()["offerId"], { ufrag: "su", pwd: "sp" });
    await settle();
    expect(links.last.answers.at(-1)).toEqual({ ufrag: "su", pwd: "sp" });
  });
});

describe("people", () => {
  test("an answer makes a caller's call connected, and starts its clock", async () => {
    session = make(true);
    await connected();
    expect(session.view).toMatchObject({ phase: "calling", talkingSince: null });
    session.handleRealtime({ op: "call_ringing", d: { callId: "call", userId: "b", userName: "B", timestamp: "" } });
    expect(session.view.phase).toBe("ringing");
    session.handleEvent({ op: "call_accepted", d: { callId: "call", userId: "b", userName: "B", timestamp: "" } });
    expect(session.view.phase).toBe("connected");
    expect(session.view.talkingSince).not.toBeNull();
  });

  test("keep their order over a new roster", () => {
    const roster = (...participants: RosterEntry[]) =>
      session.handleRealtime({
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
    expect(session.view.participants.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  test("the first wish is told at once, later ones when things are calm", async () => {
    await connected();
    session.want([{ userId: "a", source: "camera", height: 100 }]);
    expect(ops("intents").at(-1)?.["slots"]).toMatchObject([{ mid: "5", participant: "a", height: 100 }]);
    const told = ops("intents").length;
    session.want([{ userId: "a", source: "camera", height: 200 }]);
    session.want([{ userId: "a", source: "camera", height: 360.4 }]);
    await clock.advance(100);
    session.want([{ userId: "a", source: "camera", height: 360.4 }]);
    await clock.advance(1_000);
    expect(ops("intents")).toHaveLength(told + 1);
    expect(ops("intents").at(-1)?.["slots"]).toEqual([
      { mid: "5", participant: "a", source: "camera", height: 360, fps: 0, priority: 0 },
    ]);
  });

  test("being alone is over when somebody comes", () => {
    session.handleRealtime({ op: "call_alone", d: { callId: "call", endsInMs: 180_000 } });
    expect(session.view.aloneUntil).toBe(180_000);
    joined(person("me"));
    expect(session.view.aloneUntil).toBe(180_000);
    joined(person("b"));
    expect(session.view.aloneUntil).toBeNull();
  });

  test("staying is told, and the question goes away", async () => {
    session.handleRealtime({ op: "call_alone", d: { callId: "call", endsInMs: 180_000 } });
    await session.stay();
    expect(ops("stay")).toEqual([{ callId: "call" }]);
    expect(session.view.aloneUntil).toBeNull();
  });

  test("a moderator sees who waits, and everybody that it is locked", () => {
    const by = { id: "boss", name: "Boss", avatar: null };
    session.handleRealtime({ op: "call_locked", d: { callId: "call", locked: true, by } });
    const waiter = { ...by, guest: true, since: "" };
    session.handleRealtime({ op: "waiting_list", d: { callId: "call", waiting: [waiter] } });
    expect(session.view).toMatchObject({ locked: true, waiting: [{ id: "boss", guest: true }] });
  });

  test("hands are in the order in which they went up, and one's own is known", () => {
    joined({ ...person("b"), hand: 2 });
    joined({ ...person("me"), hand: 1, moderator: true });
    joined(person("c"));
    expect(raisedHands(session.view.participants).map(({ id }) => id)).toEqual(["me", "b"]);
    expect(session.view).toMatchObject({ hand: 1, moderator: true });
  });
});

describe("a pool that is too small", () => {
  const crowd = (n: number) =>
    session.want(Array.from({ length: n }, (_, i) => ({ userId: `u${i}`, source: "camera" as const, height: 90 })));

  test("grows by one offer to the next step, and then asks for everybody", async () => {
    await connected();
    crowd(12);
    await settle();
    expect(links.all).toHaveLength(1);
    expect(links.last.cameras).toBe(16);
    expect(ops("media_offer")).toHaveLength(2);
    crowd(14);
    await clock.advance(200);
    expect(ops("media_offer")).toHaveLength(2);
    answer(offer()["offerId"]);
    await settle();
    expect(ops("intents").at(-1)?.["slots"]).toHaveLength(14);
  });

  test("stays as it is when the server refuses, and nothing else breaks", async () => {
    await connected();
    refuse = ({ op }) => (op === "media_offer" ? new RinghallError("MEDIA_LIMIT", "enough") : null);
    crowd(12);
    await clock.advance(5_000);
    expect(links.last.takenBack).toBe(1);
    expect(ops("media_offer")).toHaveLength(2);
    crowd(11);
    await clock.advance(5_000);
    expect(ops("media_offer")).toHaveLength(2);
    expect(session.view.phase).toBe("connected");
  });
});

function joined(participant: RosterEntry): void {
  const { id: userId, name: userName } = participant;
  session.handleRealtime({
    op: "call_participant_joined",
    d: { callId: "call", userId, userName, timestamp: "", participant },
  });
}

function unavailable(): Error {
  return new RinghallError("UNAVAILABLE", "later", 500);
}

function optionsOf() {
  const { open: openLink } = links;
  return {
    callId: "call",
    chatId: "chat",
    type: "video" as const,
    outgoing: false,
    me: "me",
    device: "tab",
    clock,
    devices,
    openLink,
    ice: () => [],
  };
}
