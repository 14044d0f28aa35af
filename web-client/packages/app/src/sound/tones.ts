import { audioContext, audioState } from "./context.ts";

interface Note {
  /** Hz. */
  frequency: number;
  /** Seconds after the pattern's start. */
  at: number;
  /** Seconds. */
  length: number;
  /** 0 to 1. */
  gain: number;
}

/** Two seconds: a rising figure, twice. One second of silence follows. */
const RINGTONE: Note[] = [0, 1].flatMap((bar) =>
  [659.25, 783.99, 987.77, 783.99].map((frequency, i) => ({ frequency, at: bar + i * 0.22, length: 0.5, gain: 0.16 })),
);
const RINGTONE_PERIOD = 3;
/** What a caller hears: one long, quiet tone in four seconds. */
const RINGBACK: Note[] = [
  { frequency: 425, at: 0, length: 1.1, gain: 0.07 },
  { frequency: 427, at: 0, length: 1.1, gain: 0.05 },
];
const RINGBACK_PERIOD = 4;
/** The server ends a ring after 30 s; a little more covers a late clock. */
const LONGEST_RING = 40;

const SHORT: Record<"accepted" | "declined" | "ended", Note[]> = {
  accepted: [
    { frequency: 587.33, at: 0, length: 0.14, gain: 0.14 },
    { frequency: 880, at: 0.11, length: 0.26, gain: 0.14 },
  ],
  declined: [
    { frequency: 392, at: 0, length: 0.18, gain: 0.13 },
    { frequency: 293.66, at: 0.16, length: 0.34, gain: 0.13 },
  ],
  ended: [
    { frequency: 523.25, at: 0, length: 0.14, gain: 0.11 },
    { frequency: 349.23, at: 0.12, length: 0.28, gain: 0.11 },
  ],
};

/** Plays notes on the audio clock, and returns what silences them at once. */
function schedule(notes: readonly Note[]): () => void {
  const context = audioContext();
  const out = context.createGain();
  out.connect(context.destination);
  const start = context.currentTime + 0.02;
  const oscillators = notes.map(({ frequency, at, length, gain }) => {
    const oscillator = context.createOscillator();
    const envelope = context.createGain();
    const from = start + at;
    oscillator.type = "triangle";
    oscillator.frequency.value = frequency;
    envelope.gain.setValueAtTime(0, from);
    envelope.gain.linearRampToValueAtTime(gain, from + 0.015);
    envelope.gain.setValueAtTime(gain, from + length * 0.4);
    envelope.gain.exponentialRampToValueAtTime(0.0001, from + length);
    oscillator.connect(envelope).connect(out);
    oscillator.start(from);
    oscillator.stop(from + length + 0.02);
    return oscillator;
  });
  return () => {
    out.disconnect();
    for (const oscillator of oscillators) oscillator.stop();
  };
}

/** Every repetition is on the audio clock beforehand: a hidden tab's timers may come a minute late. */
function repeat(notes: readonly Note[], period: number): () => void {
  const times = Math.ceil(LONGEST_RING / period);
  return schedule(
    Array.from({ length: times }, (_, i) => notes.map((note) => ({ ...note, at: note.at + i * period }))).flat(),
  );
}

export const startRingtone = (): (() => void) => repeat(RINGTONE, RINGTONE_PERIOD);
export const startRingback = (): (() => void) => repeat(RINGBACK, RINGBACK_PERIOD);

/** A short tone, if it can be heard; a locked context would play it when it no longer means anything. */
export function playTone(name: keyof typeof SHORT): void {
  if (audioState() === "running") schedule(SHORT[name]);
}
