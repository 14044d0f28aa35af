/** In a call the other people wait, so the next try is never far; see {@link reconnectDelay}. */
const IN_CALL_MAX_MS = 2_000;
const IN_CALL_FOR_MS = 60_000;
const IDLE_MAX_MS = 7_000;

export interface Attempt {
  /** Failed tries so far, from 0. */
  failures: number;
  /** Since the connection was lost. */
  lostForMs: number;
  /** A seat in a call depends on it. */
  inCall: boolean;
  /** Uniform in [0, 1). */
  random: number;
}

/**
 * How long to wait before the next try, in milliseconds. The first is immediate. In a call at most 2 s apart for 60 s
 * (the server holds the seat that long); after that, and outside a call, growing to 7 s, with jitter over the upper
 * half so that a restarted server is not met by everybody at once.
 */
export function reconnectDelay({ failures, lostForMs, inCall, random }: Attempt): number {
  if (failures === 0) return 0;
  const grown = 250 * 2 ** Math.min(failures - 1, 10);
  if (inCall && lostForMs < IN_CALL_FOR_MS) return Math.min(grown, IN_CALL_MAX_MS) * (0.75 + random / 4);
  return Math.min(grown * 2, IDLE_MAX_MS) * (0.5 + random / 2);
}
