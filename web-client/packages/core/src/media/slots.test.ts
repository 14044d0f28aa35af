import { expect, test } from "vitest";
import type { MediaSource } from "../protocol/index.ts";
import { type Assignment, assignSlots, type WantedTile } from "./slots.ts";

const slots: Array<{ mid: string; kind: MediaSource }> = [
  { mid: "a1", kind: "mic" },
  { mid: "v1", kind: "camera" },
  { mid: "v2", kind: "camera" },
  { mid: "s1", kind: "screen" },
];
const camera = (userId: string, height = 100): WantedTile => ({ userId, source: "camera", height });
const placed = (assignment: Assignment) =>
  Object.fromEntries([...assignment].map(([mid, { userId }]) => [mid, userId]));

test("a tile keeps its slot when somebody else leaves and another one comes", () => {
  const first = assignSlots(new Map(), [camera("x"), camera("y")], slots);
  expect(placed(first.assignment)).toEqual({ v1: "x", v2: "y" });
  const second = assignSlots(first.assignment, [camera("z"), camera("y")], slots);
  expect(placed(second.assignment)).toEqual({ v1: "z", v2: "y" });
});

test("a screen goes into a screen slot, and nothing ever into an audio slot", () => {
  const { assignment } = assignSlots(new Map(), [{ ...camera("x"), source: "screen" }, camera("x")], slots);
  expect(placed(assignment)).toEqual({ s1: "x", v1: "x" });
});

test("tiles beyond the pool get no slot, the first ones do", () => {
  const { assignment, intents } = assignSlots(
    new Map(),
    ["x", "y", "z"].map((id) => camera(id)),
    slots,
  );
  expect(placed(assignment)).toEqual({ v1: "x", v2: "y" });
  expect(intents).toHaveLength(2);
});

test("a tile wanted twice is asked for once, and heights are whole pixels", () => {
  const { intents } = assignSlots(new Map(), [camera("x", 10), camera("x", 180.6)], slots);
  expect(intents).toEqual([{ mid: "v1", participant: "x", source: "camera", height: 181, fps: 0, priority: 0 }]);
});
