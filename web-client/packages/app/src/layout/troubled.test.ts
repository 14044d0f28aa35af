import type { QualityMinute } from "@ringhall/core";
import { expect, test } from "vitest";
import { troubled } from "./troubled.ts";

const minute = (poorMs: number, badMs: number, reason: QualityMinute["reason"]): QualityMinute => ({
  minute: "2026-11-25T18:00:00.000Z",
  goodMs: 60_000 - poorMs - badMs,
  fairMs: 0,
  poorMs,
  badMs,
  reason,
});

test("trouble is summed over the call, and its reason is that of most of it", () => {
  const minutes = [
    minute(10_000, 0, "delay"),
    minute(0, 30_000, "loss"),
    minute(0, 0, "bandwidth"),
    minute(0, 5_000, "delay"),
  ];
  expect(troubled(minutes)).toEqual({ level: "bad", reason: "loss", seconds: 45 });
});

test("a good connection, a moment of trouble and no record are no trouble", () => {
  for (const minutes of [[], [minute(0, 0, null)], [minute(2_000, 1_000, "lost")]])
    expect(troubled(minutes)).toBeNull();
});
