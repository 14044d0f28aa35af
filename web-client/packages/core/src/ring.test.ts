import { expect, test } from "vitest";
import { ringPlan } from "./ring.ts";
import type { Ring } from "./state.ts";

const ring = (silent = false) => ({ callId: "c", silent }) as Ring;
const open = { inCall: false, soundUnlocked: true, hidden: false };

test("a ring is shown and sounds", () => {
  expect(ringPlan([ring()], open)).toMatchObject({ audible: true, alert: false, show: [{ callId: "c" }] });
});

test("nothing rings, nothing sounds", () => {
  expect(ringPlan([], open)).toEqual({ show: [], audible: false, alert: false });
});

test("a tab whose sound is locked makes itself seen and does not ask to be the one that sounds", () => {
  expect(ringPlan([ring()], { ...open, soundUnlocked: false })).toMatchObject({ audible: false, alert: true });
});

test("a hidden tab sounds and makes itself seen", () => {
  expect(ringPlan([ring()], { ...open, hidden: true })).toMatchObject({ audible: true, alert: true });
});

test("during a call a ring is only shown, whatever the server thought", () => {
  const plan = ringPlan([ring()], { ...open, inCall: true });
  expect(plan).toMatchObject({ audible: false, alert: false });
  expect(plan.show).toHaveLength(1);
});

test("a silent ring is only shown; beside a loud one the loud one sounds", () => {
  expect(ringPlan([ring(true)], open).audible).toBe(false);
  expect(ringPlan([ring(true), ring()], open).audible).toBe(true);
});
