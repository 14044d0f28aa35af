import type { MediaSource } from "../protocol/index.ts";

/**
 * How many camera slots there can be. A pool grows by one offer from step to step and never shrinks; each m-line costs
 * bytes and main-thread time once, so a call of two does not pay for a hundred.
 */
export const CAMERA_STEPS = [9, 16, 26, 50] as const;

/** Slots beside the cameras: the loudest voices, two shared screens, and the sound of those. */
const BESIDE: ReadonlyArray<{ kind: MediaSource; count: number }> = [
  { kind: "mic", count: 5 },
  { kind: "screen", count: 2 },
  { kind: "screenAudio", count: 2 },
];

/** The receive slots of a first offer, in the order of their m-lines. */
export function firstPool(cameras: number): MediaSource[] {
  const [mics, ...screens] = BESIDE;
  const of = ({ kind, count }: { kind: MediaSource; count: number }) => Array<MediaSource>(count).fill(kind);
  return [...(mics ? of(mics) : []), ...of({ kind: "camera", count: cameras }), ...screens.flatMap(of)];
}

/** The smallest step that shows `wanted` cameras, or the largest there is; never less than `have`. */
export function cameraStep(wanted: number, have: number): number {
  const step = CAMERA_STEPS.find((size) => size >= wanted) ?? CAMERA_STEPS[CAMERA_STEPS.length - 1] ?? have;
  return Math.max(step, have);
}
