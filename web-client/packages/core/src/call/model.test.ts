import { expect, test } from "vitest";
import { type CallInput, newCall, phaseOf, step } from "./model.ts";

const run = (outgoing: boolean, ...inputs: CallInput[]) => phaseOf(inputs.reduce(step, newCall(outgoing)));
const rung: CallInput = { type: "rung" };
const answered: CallInput = { type: "answered" };
const up: CallInput = { type: "media", up: true };
const down: CallInput = { type: "media", up: false };
const ended: CallInput = { type: "ended", end: { how: "over", duration: 3 } };

test.each<[string, boolean, CallInput[], string]>([
  ["a caller sees calling until a device rings", true, [], "calling"],
  ["and ringing after that", true, [rung], "ringing"],
  ["media that is up before the answer does not make it connected", true, [up, rung], "ringing"],
  ["an answer with media up is a connected call", true, [up, rung, answered], "connected"],
  ["an answer before any ring counts as well", true, [answered], "connecting"],
  ["who accepts is connecting at once", false, [], "connecting"],
  ["and connected with media", false, [up], "connected"],
  ["a path that was never up is not reconnecting", false, [down], "connecting"],
  ["a lost path is", false, [up, down], "reconnecting"],
  ["until it is back", false, [up, down, up], "connected"],
  ["an end is final", false, [up, ended, up, answered], "ended"],
])("%s", (_name, outgoing, inputs, phase) => {
  expect(run(outgoing, ...inputs)).toBe(phase);
});

test("a second end does not replace the first", () => {
  const first = step(newCall(false), ended);
  expect(step(first, { type: "ended", end: { how: "left" } })).toBe(first);
});

test("an input that changes nothing gives the same model", () => {
  const model = step(newCall(true), rung);
  expect(step(model, rung)).toBe(model);
});
