import { describe, expect, test } from "vitest";
import { RinghallError } from "../errors.ts";
import { MAX_DATA, packData, readData } from "./data.ts";

/** What the server makes of a message: its sender's name in front. */
function delivered(userId: string, bytes: Uint8Array): ArrayBuffer {
  const name = new TextEncoder().encode(userId);
  return new Uint8Array([name.length, ...name, ...bytes]).buffer;
}

describe("data messages", () => {
  test("come out as they went in, with who sent them", () => {
    for (const [topic, payload] of [
      ["pointer", new Uint8Array([1, 2, 3])],
      ["", new Uint8Array()],
      ["подпись", new Uint8Array(MAX_DATA - 50)],
    ] as const) {
      const event = readData(delivered("user-ї", packData(topic, payload)), true);
      expect(event).toEqual({ message: { userId: "user-ї", topic, payload, reliable: true } });
    }
  });

  test("that are too large are refused before they are sent", () => {
    expect(() => packData("a", new Uint8Array(MAX_DATA))).toThrow(RinghallError);
    expect(() => packData("t".repeat(101), new Uint8Array())).toThrow(/topic/);
  });

  test("the server's own words are refusals", () => {
    const event = readData('{"t":"refused","code":"RATE_LIMITED","message":"slower","retryAfterMs":1000}', false);
    expect(event && "refused" in event && event.refused).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 1_000 });
  });

  test("nonsense is nothing", () => {
    expect(readData("{", true)).toBeNull();
    for (const bytes of [[], [5, 1], [1, 65], [1, 65, 9, 1]]) {
      expect(readData(new Uint8Array(bytes).buffer, true)).toBeNull();
    }
  });
});
