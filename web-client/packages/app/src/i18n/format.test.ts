import { expect, test } from "vitest";
import { en } from "./en.ts";
import { clockTime, daysBetween, durationInWords } from "./format.ts";
import { ru } from "./ru.ts";
import { uk } from "./uk.ts";

test.each([
  [0, "0 s"],
  [45, "45 s"],
  [60, "1 min"],
  [225, "3 min 45 s"],
  [3_600, "1 h"],
  [3_725, "1 h 2 min"],
  [86_400, "24 h"],
  [-5, "0 s"],
])("%i seconds are %j", (seconds, text) => {
  expect(durationInWords(seconds, en, "en")).toBe(text);
});

test("the plan's own form in Russian, and Ukrainian units", () => {
  expect(durationInWords(225, ru, "ru")).toBe("3 мин, 45 сек");
  expect(durationInWords(225, uk, "uk")).toBe("3 хв 45 с");
});

test.each([
  [0, "0:00"],
  [9.9, "0:09"],
  [225, "3:45"],
  [3_729, "1:02:09"],
  [-3, "0:00"],
])("a running call of %d s shows %s", (seconds, text) => {
  expect(clockTime(seconds)).toBe(text);
});

test("days are counted by the calendar, not by 24 hours", () => {
  expect(daysBetween(new Date(2026, 0, 1, 23, 59), new Date(2026, 0, 2, 0, 1))).toBe(1);
  expect(daysBetween(new Date(2026, 0, 2, 0, 1), new Date(2026, 0, 2, 23, 59))).toBe(0);
});
