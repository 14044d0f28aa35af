import { beforeEach, expect, test } from "vitest";
import { FakeClock } from "../testing/fake-clock.ts";
import { PathWatch } from "./path.ts";

let clock: FakeClock;
let packets: number;
let flowing: boolean;
let heard: boolean[];
let watch: PathWatch;

beforeEach(() => {
  clock = new FakeClock();
  packets = 0;
  flowing = true;
  heard = [];
  watch = new PathWatch(
    clock,
    async () => (flowing ? ++packets : packets),
    (alive) => heard.push(alive),
  );
});

test("a steady path is dead after three missed reports, and alive with the next packet", async () => {
  await clock.advance(5_000);
  flowing = false;
  await clock.advance(700);
  expect(heard).toEqual([]);
  await clock.advance(400);
  expect(heard).toEqual([false]);
  flowing = true;
  await clock.advance(300);
  expect(heard).toEqual([false, true]);
});

test("a count that falls, as after an ICE restart, is no packet", async () => {
  packets = 1_000;
  await clock.advance(5_000);
  flowing = false;
  await clock.advance(1_100);
  expect(heard).toEqual([false]);
  packets = 100;
  await clock.advance(1_000);
  expect(heard).toEqual([false]);
  packets = 101;
  await clock.advance(300);
  expect(heard).toEqual([false, true]);
});

test("a busy page that is slow to look knows a steady path too", async () => {
  watch.stop();
  const slowly = () => new Promise<number>((resolve) => clock.after(400, () => resolve(flowing ? ++packets : packets)));
  watch = new PathWatch(clock, slowly, (alive) => heard.push(alive));
  await clock.advance(10_000);
  flowing = false;
  await clock.advance(2_700);
  expect(heard).toEqual([false]);
});

test("a path that was still for a while is not a steady one", async () => {
  for (let round = 0; round < 12; round++) {
    flowing = round % 2 === 0;
    await clock.advance(700);
  }
  flowing = false;
  await clock.advance(3_000);
  expect(heard).toEqual([]);
});

test("a path that never was steady is given the time between two ICE checks", async () => {
  flowing = false;
  await clock.advance(6_000);
  expect(heard).toEqual([]);
  await clock.advance(2_000);
  expect(heard).toEqual([false]);
});

test("stopped, it looks no more", async () => {
  watch.stop();
  await clock.advance(60_000);
  expect(packets).toBe(0);
  expect(clock.pending).toBe(0);
});
