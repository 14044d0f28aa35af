import { signal } from "@preact/signals";
import { browserDevices, type DeviceChoice } from "@ringhall/core";

const KEY = "ringhall.devices";

export interface Choice extends DeviceChoice {
  /** Where the others are heard, by `deviceId`. */
  speaker?: string;
}

/** What was chosen here, kept for the next call. */
export const choice = signal<Choice>(restore());
/** What there is; names are empty until a device was allowed once. */
export const available = signal<readonly MediaDeviceInfo[]>([]);

export const devices = browserDevices(() => choice.value);

function restore(): Choice {
  try {
    return (JSON.parse(localStorage.getItem(KEY) ?? "{}") as Choice | null) ?? {};
  } catch {
    return {};
  }
}

export function choose(change: Choice): void {
  choice.value = { ...choice.value, ...change };
  localStorage.setItem(KEY, JSON.stringify(choice.value));
}

export async function listDevices(): Promise<void> {
  available.value = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
}

/** Follows what is plugged in and out; the returned function stops. */
export function watchDevices(): () => void {
  const list = () => void listDevices();
  list();
  navigator.mediaDevices?.addEventListener("devicechange", list);
  return () => navigator.mediaDevices?.removeEventListener("devicechange", list);
}
