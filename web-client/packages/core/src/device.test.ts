import { expect, test } from "vitest";
import { claimDevice, type Locks } from "./device.ts";

class MemoryStorage {
  #items = new Map<string, string>();
  getItem = (key: string) => this.#items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.#items.set(key, value);
  copy(): MemoryStorage {
    const copy = new MemoryStorage();
    for (const [key, value] of this.#items) copy.setItem(key, value);
    return copy;
  }
}

/** Locks of one browser: the second to ask waits until its signal aborts. */
function browserLocks(): Locks & { held: Set<string> } {
  const held = new Set<string>();
  return {
    held,
    async request(name, { signal }, callback) {
      if (held.has(name)) {
        await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
      }
      held.add(name);
      return callback({});
    },
  };
}

test("a reloaded tab keeps its id once the old page is gone", async () => {
  const storage = new MemoryStorage();
  const first = await claimDevice(storage, browserLocks());
  expect(await claimDevice(storage, browserLocks())).toBe(first);
});

test("a duplicated tab, which copies the storage, gets an id of its own", async () => {
  const locks = browserLocks();
  const storage = new MemoryStorage();
  const first = await claimDevice(storage, locks);
  const copy = storage.copy();
  const second = await claimDevice(copy, locks);
  expect(second).not.toBe(first);
  expect(locks.held.size).toBe(2);
});

test("without Web Locks the id is kept", async () => {
  const storage = new MemoryStorage();
  expect(await claimDevice(storage)).toBe(await claimDevice(storage));
});
