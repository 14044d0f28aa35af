// Waiting for things to happen, always with a deadline and always saying what was waited for.

/** Asks `probe` until it gives something truthy; throws with what it said last when `ms` are over. */
export async function eventually(what, probe, ms = 20_000, every = 100) {
  const deadline = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      throw new Error(`not within ${ms / 1000} s: ${what} (last seen: ${seen})`);
    }
    await pause(every);
  }
}

/** The gap between two probes; never a substitute for waiting for the thing itself. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
