import type { Clock } from "../clock.ts";
import type { MediaSource } from "../protocol/index.ts";

const LOOK_MS = 2_000;
/** So many looks in a row have to say the same before it is believed: an encoder that starts is slow for a moment. */
const STEADY = 2;

/**
 * Watches whether this device's processor limits what it sends, as the browser says it (`qualityLimitationReason`), and says
 * when that changes. A browser that does not say it is never limited.
 */
export class LimitWatch {
  #cancel: (() => void) | null = null;
  #said = new Map<MediaSource, boolean>();
  #other = new Map<MediaSource, number>();
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly limits: () => Promise<ReadonlyMap<MediaSource, boolean>>,
    private readonly onChange: (source: MediaSource, cpu: boolean) => void,
  ) {
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** Takes one look now. A source that is not sent any more is not limited. */
  async look(): Promise<void> {
    const now = await this.limits().catch(() => null);
    if (!now || this.#stopped) return;
    for (const source of new Set([...now.keys(), ...this.#said.keys()])) {
      const cpu = now.get(source) ?? false;
      if (cpu === (this.#said.get(source) ?? false)) {
        this.#other.delete(source);
        continue;
      }
      const times = (this.#other.get(source) ?? 0) + 1;
      this.#other.set(source, times);
      if (times < STEADY) continue;
      this.#other.delete(source);
      this.#said.set(source, cpu);
      this.onChange(source, cpu);
    }
  }

  #next(): void {
    this.#cancel = this.clock.after(LOOK_MS, () => {
      void this.look().then(() => {
        if (!this.#stopped) this.#next();
      });
    });
  }
}
