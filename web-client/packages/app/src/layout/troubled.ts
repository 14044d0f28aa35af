import type { QualityMinute, QualityReason } from "@ringhall/core";

/** What a call's record says of a connection that was not good enough, in one sentence. */
export interface Troubled {
  level: "poor" | "bad";
  reason: QualityReason | null;
  seconds: number;
}

/** Shorter trouble than this is forgotten by those who had it. */
const LEAST_MS = 5_000;

/** How long a connection was poor or bad in a call, and why for most of it; null when it hardly was. */
export function troubled(minutes: readonly QualityMinute[]): Troubled | null {
  const reasons = new Map<QualityReason, number>();
  let poor = 0;
  let bad = 0;
  for (const { poorMs, badMs, reason } of minutes) {
    poor += poorMs;
    bad += badMs;
    if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + poorMs + badMs);
  }
  if (poor + bad < LEAST_MS) return null;
  const [reason = null] = [...reasons].sort(([, a], [, b]) => b - a)[0] ?? [];
  return { level: bad >= poor ? "bad" : "poor", reason, seconds: Math.round((poor + bad) / 1_000) };
}
