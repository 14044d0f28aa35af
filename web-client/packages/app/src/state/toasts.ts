import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "good" | "bad";
  action?: { label: string; run: () => void };
}

/** Long enough to read a sentence twice. */
const SHOWN_MS = 7_000;
const MOST = 4;

export const toasts = signal<readonly Toast[]>([]);
let next = 1;

/** Shows a sentence for a while. The same sentence again replaces the one that is still there. */
export function toast(text: string, tone: Toast["tone"] = "info", action?: Toast["action"]): void {
  const id = next++;
  const kept = toasts.value.filter((known) => known.text !== text).slice(1 - MOST);
  toasts.value = [...kept, { id, text, tone, ...(action && { action }) }];
  setTimeout(() => dismissToast(id), action ? 2 * SHOWN_MS : SHOWN_MS);
}

/** What was said before a call began is of no interest in it. */
export function dismissAll(): void {
  toasts.value = [];
}

export function dismissToast(id: number): void {
  toasts.value = toasts.value.filter((known) => known.id !== id);
}
