import { describe, expect, test, vi } from "vitest";
import { RinghallError } from "../errors.ts";
import type { DataMessage } from "../media/data.ts";
import { fakeCall } from "../testing/fake-call.ts";
import { FakeLinks } from "../testing/fake-media.ts";

vi.stubGlobal("MediaStream", class {});

function start() {
  const links = new FakeLinks();
  const session = fakeCall({ openLink: links.open });
  return { links, session };
}

describe("a call's data", () => {
  test("goes by the connection that is there, text as UTF-8", () => {
    const { links, session } = start();
    expect(() => session.sendData("note", "too early")).toThrow(RinghallError);
    session.start({ mic: false, camera: false });
    session.sendData("note", "ї");
    session.sendData("pointer", new Uint8Array([1, 2]), { reliable: false });
    expect(links.last.data.sent).toEqual([
      { topic: "note", payload: new Uint8Array([0xd1, 0x97]), reliable: true },
      { topic: "pointer", payload: new Uint8Array([1, 2]), reliable: false },
    ]);
    session.leave();
  });

  test("is heard with who sent it, and so is a refusal; not after the call", () => {
    const { links, session } = start();
    const heard: DataMessage[] = [];
    const refused: RinghallError[] = [];
    session.on("data", (message) => heard.push(message));
    session.on("dataRefused", (error) => refused.push(error));
    session.start({ mic: false, camera: false });
    const message = { userId: "maria", topic: "note", payload: new Uint8Array([7]), reliable: true };
    links.last.data.hear({ message });
    links.last.data.hear({ refused: new RinghallError("RATE_LIMITED", "slower", 1_000) });
    session.leave();
    links.last.data.hear({ message });
    expect(heard).toEqual([message]);
    expect(refused.map(({ code }) => code)).toEqual(["RATE_LIMITED"]);
  });
});
