import type { Clock } from "../clock.ts";

const SAMPLE_MS = 250;
/** A server that reports every 250 ms is dead after three missed reports. */
const QUICK_DEAD_MS = 750;
/** One that has not been seen to is given the time between two ICE checks of the slowest browser. */
const SLOW_DEAD_MS = 7_000;
/** Changes in a row that show that the server reports as often as it should. */
const STEADY = 12;

/**
 * Watches a media path by what comes in. ICE says `disconnected` only after 8 s; three missed reports say it within
 * one. A path that has been steady is judged by the short limit, any other by the long one.
 */
export class PathWatch {
  #cancel: (() => void) | null = null;
  #last = -1;
  #changedAt = 0;
  #steady = 0;
  #still = 0;
  #dead = false;
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly activity: () => Promise<number>,
    private readonly onChange: (alive: boolean) => void,
  ) {
    this.#changedAt = clock.now();
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** Takes one sample now, as after a network change. */
  async sample(): Promise<void> {
    const value = await this.activity().catch(() => this.#last);
    if (this.#stopped) return;
    const now = this.clock.now();
    const quiet = now - this.#changedAt;
    // A browser forgets the pairs of before a restart, and their counts with them: that is no sign of life.
    if (value < this.#last) this.#last = value;
    else if (value > this.#last) {
      // On a busy page a look may take longer than two reports: what changed at every look is steady all the same.
      this.#steady = this.#still === 0 || quiet <= 2 * SAMPLE_MS ? this.#steady + 1 : 0;
      this.#last = value;
      this.#changedAt = now;
      this.#still = 0;
      this.#tell(false);
      return;
    }
    this.#still += 1;
    const limit = this.#steady >= STEADY ? QUICK_DEAD_MS : SLOW_DEAD_MS;
    // A hidden page's timers come late: silence counts only when it was looked at three times.
    if (quiet >= limit && this.#still >= 3) {
      this.#steady = 0;
      this.#tell(true);
    }
  }

  #tell(dead: boolean): void {
    if (dead === this.#dead) return;
    this.#dead = dead;
    this.onChange(!dead);
  }

  #next(): void {
    this.#cancel = this.clock.after(SAMPLE_MS, () => {
      void this.sample().then(() => {
        if (!this.#stopped) this.#next();
      });
    });
  }
}
