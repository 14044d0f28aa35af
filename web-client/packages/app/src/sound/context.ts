import { signal } from "@preact/signals";

/**
 * The page's one AudioContext. A browser starts it only after a gesture, so the first pointer or key anywhere unlocks
 * it, long before somebody calls.
 */
let context: AudioContext | null = null;

/** Whether something played now is heard. */
export const soundUnlocked = signal(false);

export function audioContext(): AudioContext {
  if (!context) {
    const created = new AudioContext();
    created.addEventListener("statechange", () => {
      soundUnlocked.value = created.state === "running";
    });
    soundUnlocked.value = created.state === "running";
    context = created;
  }
  return context;
}

export function audioState(): AudioContextState {
  return context?.state ?? "suspended";
}

export function unlockOnGesture(): void {
  audioContext();
  const unlock = () => {
    if (audioState() !== "running") void audioContext().resume();
  };
  for (const type of ["pointerdown", "pointerup", "keydown", "touchend"])
    addEventListener(type, unlock, { capture: true });
}
