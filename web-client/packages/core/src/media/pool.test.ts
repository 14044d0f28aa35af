import { expect, test } from "vitest";
import { cameraStep, firstPool } from "./pool.ts";

test.each([
  [0, 0, 9],
  [9, 9, 9],
  [10, 9, 16],
  [17, 9, 26],
  [27, 26, 50],
  [100, 50, 50],
  [3, 26, 26],
])("%i wanted cameras in a pool of %i make one of %i", (wanted, have, step) => {
  expect(cameraStep(wanted, have)).toBe(step);
});

test("a first pool has five voices, the cameras, two screens and their sound", () => {
  const pool = firstPool(9);
  expect(pool.filter((kind) => kind === "camera")).toHaveLength(9);
  expect(pool.slice(0, 5)).toEqual(Array(5).fill("mic"));
  expect(pool.slice(14)).toEqual(["screen", "screen", "screenAudio", "screenAudio"]);
});
