import type { Slot } from "../media/link.ts";

/** An m-line on which nothing came for so long did not carry anything before the path was lost. */
const RECENT_MS = 3_000;

/** What the packets of each receive m-line say about a path that was healed. */
export class TrackFlow {
  #lines = new Map<string, { packets: number; at: number }>();

  /** Packets received so far, by m-line. */
  note(now: number, packets: ReadonlyMap<string, number>): void {
    for (const [mid, count] of packets) {
      const known = this.#lines.get(mid);
      if (!known || known.packets !== count) this.#lines.set(mid, { packets: count, at: count > 0 ? now : -RECENT_MS });
    }
  }

  /** The m-lines on which something came lately. */
  flowing(now: number): string[] {
    return [...this.#lines].filter(([, { at }]) => now - at < RECENT_MS).map(([mid]) => mid);
  }

  /**
   * Whether all sound, or all pictures, of these m-lines have been missing since then. One of several may have ended by
   * itself meanwhile; a path that brings pictures and no sound is broken.
   */
  isMissing(mids: readonly string[], since: number, slots: readonly Slot[]): boolean {
    const of = (heard: boolean) =>
      mids.filter((mid) => slots.some((slot) => slot.mid === mid && heard === isHeard(slot)));
    return [of(true), of(false)].some(
      (lines) => lines.length > 0 && lines.every((mid) => (this.#lines.get(mid)?.at ?? 0) <= since),
    );
  }
}

function isHeard({ kind }: Slot): boolean {
  return kind === "mic" || kind === "screenAudio";
}
