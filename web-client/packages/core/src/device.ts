/** What is needed of `navigator.locks`. */
export interface Locks {
  request(
    name: string,
    options: { signal?: AbortSignal; ifAvailable?: boolean },
    callback: (lock: unknown) => Promise<void> | undefined,
  ): Promise<unknown>;
}

const KEY = "ringhall.device";
/** A reloaded page may come up before the browser has let go of the old one's lock. */
const RELOAD_GRACE_MS = 300;

/**
 * The id of this tab: kept over a reload in sessionStorage, and held with a Web Lock while the tab lives. A duplicated
 * tab copies sessionStorage but cannot have the lock, so it gets an id of its own.
 */
export async function claimDevice(storage: Pick<Storage, "getItem" | "setItem">, locks?: Locks): Promise<string> {
  const kept = storage.getItem(KEY);
  if (kept && (!locks || (await hold(locks, kept)))) return kept;
  const fresh = crypto.randomUUID();
  storage.setItem(KEY, fresh);
  if (locks) await hold(locks, fresh);
  return fresh;
}

function hold(locks: Locks, id: string): Promise<boolean> {
  return new Promise((resolve) => {
    locks
      .request(`ringhall.device.${id}`, { signal: AbortSignal.timeout(RELOAD_GRACE_MS) }, () => {
        resolve(true);
        // Held until the tab is gone: this promise never settles.
        return new Promise<void>(() => {});
      })
      .catch(() => resolve(false));
  });
}
