import { expect, test } from "vitest";
import type { MediaSource } from "../protocol/index.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { LimitWatch } from "./limited.ts";

function watched() {
  const clock = new FakeClock();
  let now = new Map<MediaSource, boolean>();
  const said: Array<[MediaSource, boolean]> = [];
  const watch = new LimitWatch(
    clock,
    async () => now,
    (source, cpu) => said.push([source, cpu]),
  );
  const seconds = async (count: number, camera: boolean | null) => {
    now = camera === null ? new Map() : new Map([["camera", camera]]);
    await clock.advance(count * 1_000);
  };
  return { said, seconds, watch };
}

test("a processor that limits the camera is told once, and once when it does not any more", async () => {
  const { said, seconds } = watched();
  await seconds(10, false);
  expect(said).toEqual([]);
  await seconds(10, true);
  expect(said).toEqual([["camera", true]]);
  await seconds(10, false);
  expect(said).toEqual([
    ["camera", true],
    ["camera", false],
  ]);
});

test("a moment at the start is not told, and a camera that is off is not limited", async () => {
  const { said, seconds } = watched();
  await seconds(2, true);
  await seconds(2, false);
  expect(said).toEqual([]);
  await seconds(6, true);
  await seconds(6, null);
  expect(said).toEqual([
    ["camera", true],
    ["camera", false],
  ]);
});

test("nothing is said of a connection that is closed", async () => {
  const { said, seconds, watch } = watched();
  watch.stop();
  await seconds(20, true);
  expect(said).toEqual([]);
});
