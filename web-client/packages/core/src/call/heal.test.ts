import { beforeEach, describe, expect, test, vi } from "vitest";
import { RinghallError } from "../errors.ts";
import { OneCall, person } from "../testing/fake-call.ts";
import { settle } from "../testing/fake-clock.ts";
import { FakeTrack } from "../testing/fake-media.ts";

vi.stubGlobal("MediaStream", class {});

let call: OneCall;

beforeEach(() => {
  call = new OneCall();
});

describe("a dead path", () => {
  test("is restarted within a second and a half of the last packet, without a word if that heals it", async () => {
    await call.connected();
    await call.clock.advance(5_000);
    call.links.last.dead = true;
    await call.clock.advance(1_300);
    expect(call.links.last.restarts).toBe(1);
    expect(call.offer()).toMatchObject({ ufrag: "u1", pwd: "p" });
    call.links.last.dead = false;
    await call.clock.advance(500);
    expect(call.session.view.phase).toBe("connected");
    expect(call.links.all).toHaveLength(1);
  });

  test("that stays dead is shown, and then replaced by a new connection with a new offer", async () => {
    await call.connected();
    await call.clock.advance(5_000);
    call.links.last.dead = true;
    await call.clock.advance(4_000);
    expect(call.session.view.phase).toBe("reconnecting");
    expect(call.links.all).toHaveLength(2);
    expect(call.links.all[0]?.closed).toBe(true);
    expect(call.links.last.sent.get("mic")).toBeInstanceOf(FakeTrack);
    call.answer(call.offer()["offerId"]);
    await settle();
    call.links.last.become("connected");
    expect(call.session.view.phase).toBe("connected");
  });

  test("a server that was started anew is found out at once, and gets a new connection", async () => {
    await call.connected();
    call.refuse = ({ op, d }) => (op === "media_offer" && "ufrag" in d ? new RinghallError("NOT_FOUND", "who?") : null);
    await call.session.reconnected();
    await settle();
    expect(call.links.all).toHaveLength(2);
    expect(call.offer()).toMatchObject({ sdp: "offer" });
    call.answer(call.offer()["offerId"]);
    await settle();
    call.links.last.become("connected");
    expect(call.session.view.phase).toBe("connected");
  });

  describe("that was healed", () => {
    const bound = (mid: string, source: "mic" | "camera", paused = false) => {
      return { mid, userId: "b", source, csrc: 1, layer: 0, paused, reason: null };
    };
    const heal = async () => {
      call.session.media.networkChanged();
      await settle();
      call.answer(call.offer()["offerId"], { ufrag: "su", pwd: "sp" });
      await call.clock.advance(4_000);
    };
    beforeEach(async () => {
      await call.connected();
      call.joined(person("b"));
      call.session.handleRealtime({
        op: "bindings",
        d: { callId: "call", slots: [bound("4", "mic"), bound("5", "camera")] },
      });
      await call.clock.advance(5_000);
    });

    test("and carries what it carried stays", async () => {
      await heal();
      expect(call.links.all).toHaveLength(1);
    });

    test("and brings pictures without sound is replaced by a new connection in the same seat", async () => {
      call.links.last.mute.add("4");
      await heal();
      expect(call.links.all).toHaveLength(2);
      expect(call.session.view.phase).toBe("reconnecting");
      expect(call.offer()).toMatchObject({ sdp: "offer" });
      call.answer(call.offer()["offerId"]);
      await settle();
      call.links.last.become("connected");
      await call.clock.advance(10_000);
      expect(call.session.view.phase).toBe("connected");
      expect(call.links.all).toHaveLength(2);
    });

    test("and misses only what the server does not send now stays", async () => {
      call.links.last.mute.add("4");
      call.session.handleRealtime({
        op: "bindings",
        d: { callId: "call", slots: [bound("4", "mic", true), bound("5", "camera")] },
      });
      await heal();
      expect(call.links.all).toHaveLength(1);
    });
  });

  test("the answer to a restart brings credentials alone", async () => {
    await call.connected();
    call.session.media.networkChanged();
    await settle();
    call.answer(call.offer()["offerId"], { ufrag: "su", pwd: "sp" });
    await settle();
    expect(call.links.last.answers.at(-1)).toEqual({ ufrag: "su", pwd: "sp" });
  });
});
