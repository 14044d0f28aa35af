import type { Ring } from "./state.ts";

/** What one tab does about rings. */
export interface RingPlan {
  /** Shown over everything, oldest first; every tab shows them. */
  show: readonly Ring[];
  /** This tab may sound; which one of a browser does is settled by a lock. */
  audible: boolean;
  /** Nothing can be heard: show a notification, flash the title, vibrate. */
  alert: boolean;
}

/**
 * A call that comes while one is on is shown without the ringtone (`silent`). A tab whose sound is still locked does
 * not ask to be the one that sounds, or a tab that could sound would stay quiet; it makes itself seen instead.
 */
export function ringPlan(incoming: readonly Ring[], { inCall, soundUnlocked, hidden }: RingContext): RingPlan {
  const loud = incoming.some((ring) => !ring.silent) && !inCall;
  return { show: incoming, audible: loud && soundUnlocked, alert: loud && (!soundUnlocked || hidden) };
}

export interface RingContext {
  /** This tab is in a call. */
  inCall: boolean;
  /** The shared AudioContext runs. */
  soundUnlocked: boolean;
  /** The tab is in the background. */
  hidden: boolean;
}
