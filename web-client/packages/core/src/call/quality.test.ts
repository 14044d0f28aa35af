import { expect, test, vi } from "vitest";
import { fakeCall } from "../testing/fake-call.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { FakeLinks } from "../testing/fake-media.ts";

vi.stubGlobal("MediaStream", class {});

test("what the server says of the connection is shown, until there is another connection", async () => {
  const [clock, links] = [new FakeClock(), new FakeLinks()];
  const offers: string[] = [];
  const session = fakeCall({
    clock,
    openLink: links.open,
    send: async <T>(command: { op: string; d: unknown }) => {
      if (command.op === "media_offer") offers.push((command.d as { offerId: string }).offerId);
      return { outcome: "joined", status: "ongoing" } as T;
    },
  });
  session.start({ mic: false, camera: false });
  await settle();
  session.handleRealtime({ op: "media_answer", d: { callId: "call", offerId: offers[0] ?? "", sdp: "answer" } });
  await settle();
  links.last.become("connected");
  expect(session.view.quality).toEqual({ score: 4, reason: null, streams: [] });

  const paused = { mid: "5", userId: "anna", source: "camera", score: 1, reason: "paused" } as const;
  session.handleRealtime({ op: "quality", d: { callId: "call", score: 2, reason: "bandwidth", streams: [paused] } });
  expect(session.view.quality).toEqual({ score: 2, reason: "bandwidth", streams: [paused] });

  links.last.become("failed");
  await clock.advance(20_000);
  expect(links.all.length).toBeGreaterThan(1);
  expect(session.view.quality).toEqual({ score: 4, reason: null, streams: [] });
});

test("the server is told when this device's processor limits its camera, and again on a new connection", async () => {
  const [clock, links] = [new FakeClock(), new FakeLinks()];
  const [told, offers]: [unknown[], string[]] = [[], []];
  const session = fakeCall({
    clock,
    openLink: links.open,
    send: async <T>(command: { op: string; d: unknown }) => {
      if (command.op === "limited") told.push(command.d);
      if (command.op === "media_offer") offers.push((command.d as { offerId: string }).offerId);
      return { outcome: "joined", status: "ongoing" } as T;
    },
  });
  session.start({ mic: false, camera: false });
  await settle();
  const limited = async () => {
    session.handleRealtime({ op: "media_answer", d: { callId: "call", offerId: offers.at(-1) ?? "", sdp: "answer" } });
    await settle();
    links.last.become("connected");
    links.last.limited.set("camera", true);
    await clock.advance(6_000);
  };
  await limited();
  expect(told).toEqual([{ callId: "call", source: "camera", cpu: true }]);
  expect(session.view.limited).toEqual(["camera"]);
  links.last.become("failed");
  await settle();
  await limited();
  expect(told).toHaveLength(2);
  links.last.limited.clear();
  await clock.advance(6_000);
  expect(told.at(-1)).toEqual({ callId: "call", source: "camera", cpu: false });
  session.finish({ how: "left" });
});
