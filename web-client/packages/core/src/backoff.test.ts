import { expect, test } from "vitest";
import { reconnectDelay } from "./backoff.ts";

const delays = (inCall: boolean, lostForMs: number, random: number) =>
  Array.from({ length: 12 }, (_, failures) => reconnectDelay({ failures, lostForMs, inCall, random }));

test("the first try after a loss is immediate", () => {
  expect(delays(true, 0, 0.99)[0]).toBe(0);
  expect(delays(false, 0, 0.99)[0]).toBe(0);
});

test("in a call the tries are never more than 2 s apart for 60 s", () => {
  expect(Math.max(...delays(true, 59_999, 0.999))).toBeLessThanOrEqual(2_000);
  expect(Math.max(...delays(true, 60_000, 0.999))).toBeGreaterThan(2_000);
});

test("outside a call they grow to 7 s and no further", () => {
  const grown = delays(false, 1_000_000, 0.999);
  expect(Math.max(...grown)).toBeLessThanOrEqual(7_000);
  expect(grown.at(-1)).toBeGreaterThan(6_900);
  expect(grown.slice(1, 5)).toEqual([...grown.slice(1, 5)].sort((a, b) => a - b));
});

test("jitter spreads the tries over half of the delay", () => {
  expect(delays(false, 0, 0).at(-1)).toBe(3_500);
});
