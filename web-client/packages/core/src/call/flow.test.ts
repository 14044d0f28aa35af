import { describe, expect, test } from "vitest";
import type { Slot } from "../media/link.ts";
import { TrackFlow } from "./flow.ts";

const slot = (mid: string, kind: Slot["kind"]): Slot => ({ mid, kind, stream: {} as MediaStream });
const slots = [slot("1", "mic"), slot("2", "mic"), slot("3", "camera")];
const packets = (...counts: Array<[string, number]>) => new Map(counts);

describe("after a path was healed", () => {
  test("m-lines flow on which something came lately", () => {
    const flow = new TrackFlow();
    flow.note(0, packets(["1", 5], ["2", 0], ["3", 9]));
    flow.note(2_000, packets(["1", 5], ["2", 0], ["3", 10]));
    expect(flow.flowing(2_500)).toEqual(["1", "3"]);
    expect(flow.flowing(3_000)).toEqual(["3"]);
  });

  test("pictures without any sound are missing something, one voice less is not", () => {
    const flow = new TrackFlow();
    flow.note(0, packets(["1", 5], ["2", 5], ["3", 5]));
    flow.note(1_000, packets(["1", 5], ["2", 5], ["3", 6]));
    expect(flow.isMissing(["1", "2", "3"], 500, slots)).toBe(true);
    expect(flow.isMissing(["3"], 500, slots)).toBe(false);
    flow.note(1_000, packets(["1", 6]));
    expect(flow.isMissing(["1", "2", "3"], 500, slots)).toBe(false);
    expect(flow.isMissing([], 500, slots)).toBe(false);
  });
});
