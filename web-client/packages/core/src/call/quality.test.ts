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
  expect(session.view.quality).toEqual({ score: 4, reason: null });

  session.handleRealtime({ op: "quality", d: { callId: "call", score: 2, reason: "bandwidth" } });
  expect(session.view.quality).toEqual({ score: 2, reason: "bandwidth" });

  links.last.become("failed");
  await clock.advance(20_000);
  expect(links.all.length).toBeGreaterThan(1);
  expect(session.view.quality).toEqual({ score: 4, reason: null });
});
